//! Processes as files.

use cryo_format::section::pidfd::{DeadPidfd, Pidfd};
use cryo_format::section::process::Process;

use super::{Cx, Print};
use crate::block::Blocks;
use crate::names::open::open_flags;

impl Print for Pidfd {
    const TITLE: &'static str = "pidfd";

    fn print(&self, out: &mut Blocks, cx: &Cx<'_>) {
        let who = match cx.ice.get::<Process>(self.process) {
            Some(p) => format!("process {}", p.pid),
            None => format!("process with the local id {} (not in the image)", self.process),
        };
        out.value("process", who);
        write!(out, "  ");
        out.value("flags", open_flags(self.open_flags.0));
        writeln!(out);
    }
}

impl Print for DeadPidfd {
    const TITLE: &'static str = "pidfd";

    fn print(&self, out: &mut Blocks, _cx: &Cx<'_>) {
        let who = if self.pid == 0 { "a process that is gone".into() } else { format!("zombie {}", self.pid) };
        out.value("process", who);
        write!(out, "  ");
        out.value("flags", open_flags(self.open_flags.0));
        writeln!(out);
    }
}
