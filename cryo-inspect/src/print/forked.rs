//! Pages that a process shares with its parent.

use cryo_format::section::forked::Forked;
use cryo_format::section::process::Process;

use super::{Cx, Order, Print};
use crate::block::{Blocks, Cell, Table};
use crate::text::size;

impl Print for Forked {
    const TITLE: &'static str = "pages of its parent";
    const ORDER: Order = Order::Late;

    fn print(&self, out: &mut Blocks, cx: &Cx<'_>) {
        let bytes: u64 = self.ranges.iter().map(|r| r.end.0.saturating_sub(r.start.0)).sum();
        let parent = match cx.ice.get::<Process>(self.parent) {
            Some(p) => format!("process {}", p.pid),
            None => format!("process of local id {} (not in the image)", self.parent),
        };
        out.caption(format!("{} as {parent} has them", size(bytes)));
        let mut table = Table::new(&["range", ">size"]);
        for r in &self.ranges {
            table.row([Cell::from(format!("{:012x}-{:012x}", r.start.0, r.end.0)), Cell::size(r.end.0 - r.start.0)]);
        }
        out.table(table);
    }
}
