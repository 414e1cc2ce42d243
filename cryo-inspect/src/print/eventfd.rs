//! Event counters.

use cryo_format::section::eventfd::Eventfd;

use super::{Cx, Print};
use crate::block::{Blocks, Cell};
use crate::names::open::open_flags;

impl Print for Eventfd {
    const TITLE: &'static str = "eventfd";

    fn print(&self, out: &mut Blocks, _: &Cx<'_>) {
        let kind = if self.semaphore != 0 { "semaphore" } else { "counter" };
        out.value("kind", kind);
        write!(out, " at ");
        out.value("count", Cell::number(self.count));
        write!(out, "  ");
        out.value("flags", open_flags(self.open_flags.0));
        writeln!(out);
    }
}
