//! Interval timers.

use cryo_format::section::itimers::Itimers;

use super::{Cx, Print};
use crate::block::{Blocks, Cell, Table};
use crate::names::one_of;

impl Print for Itimers {
    const TITLE: &'static str = "interval timers";

    fn print(&self, out: &mut Blocks, _: &Cx<'_>) {
        let mut table = Table::new(&["timer", ">left", ">interval"]);
        for t in &self.timers {
            let name = one_of(t.which.into(), &[(0, "ITIMER_REAL"), (1, "ITIMER_VIRTUAL"), (2, "ITIMER_PROF")]);
            let left = if t.value_us == 0 { Cell::new("(signal pending)", 0) } else { time(t.value_us) };
            let interval = if t.interval_us == 0 { Cell::count(0) } else { time(t.interval_us) };
            table.row([name.into(), left, interval]);
        }
        out.table(table);
    }
}

fn time(us: u64) -> Cell {
    Cell::duration(us.saturating_mul(1000))
}
