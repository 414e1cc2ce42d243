//! Locks and leases.

use cryo_format::section::locks::Locks;
use cryo_format::section::process::Process;

use super::{Cx, Print};
use crate::block::Blocks;
use crate::names::one_of;

impl Print for Locks {
    const TITLE: &'static str = "locks";

    fn print(&self, out: &mut Blocks, cx: &Cx<'_>) {
        if self.lease != 2 {
            writeln!(out, "lease {}", one_of(self.lease.into(), &[(0, "F_RDLCK"), (1, "F_WRLCK")]));
        }
        for l in &self.locks {
            let kind = one_of(l.kind.into(), &[(0, "POSIX"), (1, "OFD"), (2, "flock")]);
            let how = if l.write != 0 { "exclusive" } else { "shared" };
            out.list("locks");
            let process = cx.ice.get::<Process>(l.process);
            let whose = process.map_or_else(String::new, |p| format!(" of process {}", p.pid));
            match l.end {
                end if end >= i64::MAX as u64 => writeln!(out, "{kind} {how}{whose}, from byte {}", l.start),
                end => writeln!(out, "{kind} {how}{whose}, bytes {} to {end}", l.start),
            }
        }
    }
}
