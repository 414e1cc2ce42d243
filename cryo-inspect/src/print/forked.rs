//! Pages that a process shares with its parent.

use std::io::{self, Write};

use cryo_format::section::forked::Forked;

use super::{Cx, Order, Print};

impl Print for Forked {
    const TITLE: &'static str = "pages of its parent";
    const ORDER: Order = Order::Late;

    fn print(&self, out: &mut dyn Write, _: &Cx<'_>) -> io::Result<()> {
        let bytes: u64 = self.ranges.iter().map(|r| r.end.0.saturating_sub(r.start.0)).sum();
        writeln!(out, "{} KiB as process {} has them", bytes >> 10, self.parent)?;
        self.ranges.iter().try_for_each(|r| writeln!(out, "{:012x}-{:012x}", r.start.0, r.end.0))
    }
}
