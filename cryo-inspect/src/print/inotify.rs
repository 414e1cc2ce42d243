//! Watched files.

use cryo_format::section::inotify::Inotify;

use super::{Cx, Print};
use crate::block::Blocks;
use crate::names::bits;
use crate::names::open::open_flags;
use crate::text::shown;

const EVENTS: &[(u64, &str)] = &[
    (0x1, "ACCESS"),
    (0x2, "MODIFY"),
    (0x4, "ATTRIB"),
    (0x8, "CLOSE_WRITE"),
    (0x10, "CLOSE_NOWRITE"),
    (0x20, "OPEN"),
    (0x40, "MOVED_FROM"),
    (0x80, "MOVED_TO"),
    (0x100, "CREATE"),
    (0x200, "DELETE"),
    (0x400, "DELETE_SELF"),
    (0x800, "MOVE_SELF"),
    (0x0400_0000, "EXCL_UNLINK"),
    (0x8000_0000, "ONESHOT"),
];

impl Print for Inotify {
    const TITLE: &'static str = "inotify";

    fn print(&self, out: &mut Blocks, _: &Cx<'_>) {
        write!(out, "{} watches  ", self.watches.len());
        out.value("flags", open_flags(self.open_flags.0));
        writeln!(out);
        for w in &self.watches {
            out.list("watches");
            out.value("wd", w.wd.to_string());
            write!(out, ": ");
            out.value("path", shown(&w.path));
            write!(out, "  ");
            out.value("events", bits(w.mask.into(), EVENTS, "|"));
            writeln!(out);
        }
    }
}
