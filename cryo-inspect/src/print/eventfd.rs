//! Event counters.

use std::io::{self, Write};

use cryo_format::section::eventfd::Eventfd;

use super::{Cx, Print};
use crate::names::open::open_flags;

impl Print for Eventfd {
    const TITLE: &'static str = "eventfd";

    fn print(&self, out: &mut dyn Write, _: &Cx<'_>) -> io::Result<()> {
        let kind = if self.semaphore != 0 { "semaphore" } else { "counter" };
        writeln!(out, "{kind} at {}  {}", self.count, open_flags(self.open_flags.0))
    }
}
