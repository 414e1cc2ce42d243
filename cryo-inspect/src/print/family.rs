//! What ties the processes of a set together.

use std::io::{self, Write};

use cryo_format::section::family::Family;

use super::{Cx, Print};
use crate::text::shown;

/// Flags of clone(2), and what they share.
const COMMON: [(u32, &str); 4] =
    [(0x100, "memory"), (0x200, "working directory and umask"), (0x400, "descriptors"), (0x800, "signal handlers")];

impl Print for Family {
    const TITLE: &'static str = "family";

    fn print(&self, out: &mut dyn Write, _: &Cx<'_>) -> io::Result<()> {
        writeln!(out, "root: process {}", self.root)?;
        for z in &self.zombies {
            writeln!(out, "zombie {} ({}), child of {}: wait status {:#x}", z.pid, shown(&z.name), z.ppid, z.status)?;
        }
        for c in &self.common {
            let what: Vec<&str> =
                COMMON.iter().filter(|(flag, _)| c.flags & flag != 0).map(|(_, what)| *what).collect();
            writeln!(out, "processes {} and {} share {}", c.other, c.process, what.join(", "))?;
        }
        Ok(())
    }
}
