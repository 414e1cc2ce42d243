//! Event counters.

use cryo_format::section::eventfd::Eventfd;

use super::{Cx, Print};
use crate::block::Blocks;
use crate::names::open::open_flags;

impl Print for Eventfd {
    const TITLE: &'static str = "eventfd";

    fn print(&self, out: &mut Blocks, _: &Cx<'_>) {
        let kind = if self.semaphore != 0 { "semaphore" } else { "counter" };
        writeln!(out, "{kind} at {}  {}", self.count, open_flags(self.open_flags.0));
    }
}
