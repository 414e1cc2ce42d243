//! Signals as a file.

use cryo_format::section::signalfd::Signalfd;

use super::{Cx, Print};
use crate::block::Blocks;
use crate::names::open::open_flags;
use crate::names::signal;

impl Print for Signalfd {
    const TITLE: &'static str = "signalfd";

    fn print(&self, out: &mut Blocks, _: &Cx<'_>) {
        out.value("signals", signal::set(self.mask.0));
        write!(out, "  ");
        out.value("flags", open_flags(self.open_flags.0));
        writeln!(out);
    }
}
