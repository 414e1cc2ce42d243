//! Signals as a file.

use std::io::{self, Write};

use cryo_format::section::signalfd::Signalfd;

use super::{Cx, Print};
use crate::names::open::open_flags;
use crate::names::signal;

impl Print for Signalfd {
    const TITLE: &'static str = "signalfd";

    fn print(&self, out: &mut dyn Write, _: &Cx<'_>) -> io::Result<()> {
        writeln!(out, "{}  {}", signal::set(self.mask.0), open_flags(self.open_flags.0))
    }
}
