//! What ties the processes of a set together.

use cryo_format::section::family::Family;
use cryo_format::section::process::Process;

use super::{Cx, Print};
use crate::block::{Blocks, Cell};
use crate::text::shown;

/// Flags of clone(2), and what they share.
const COMMON: [(u32, &str); 4] =
    [(0x100, "memory"), (0x200, "working directory and umask"), (0x400, "descriptors"), (0x800, "signal handlers")];

impl Print for Family {
    const TITLE: &'static str = "family";

    fn print(&self, out: &mut Blocks, cx: &Cx<'_>) {
        let process = |id: u64| match cx.ice.get::<Process>(id) {
            Some(p) => Cell::new(p.pid.to_string(), p.pid),
            None => Cell::new(format!("of local id {id}"), id),
        };
        write!(out, "root: process ");
        out.value("root", process(self.root));
        writeln!(out);
        for z in &self.zombies {
            out.list("zombies");
            write!(out, "zombie ");
            out.value("pid", Cell::number(z.pid));
            write!(out, " (");
            out.value("name", shown(&z.name));
            write!(out, "), child of ");
            out.value("parent", Cell::number(z.ppid));
            write!(out, ": wait status ");
            out.value("status", Cell::hex(format!("{:#x}", z.status), z.status.into()));
            writeln!(out);
        }
        for c in &self.common {
            let what: Vec<&str> =
                COMMON.iter().filter(|(flag, _)| c.flags & flag != 0).map(|(_, what)| *what).collect();
            out.list("common");
            write!(out, "processes ");
            out.value("first", process(c.other));
            write!(out, " and ");
            out.value("second", process(c.process));
            write!(out, " share ");
            out.value("share", what.join(", "));
            writeln!(out);
        }
    }
}
