//! Marked files.

use cryo_format::section::fanotify::Fanotify;

use super::{Cx, Print};
use crate::block::Blocks;
use crate::names::one_of;
use crate::names::open::open_flags;
use crate::text::shown;

impl Print for Fanotify {
    const TITLE: &'static str = "fanotify";

    fn print(&self, out: &mut Blocks, _: &Cx<'_>) {
        let (init, event) = (self.init_flags, self.event_flags);
        let count = self.marks.len();
        writeln!(out, "{count} marks  {}  flags {init:#x}, event flags {event:#x}", open_flags(self.open_flags.0));
        for m in &self.marks {
            let kind = one_of(m.kind.into(), &[(0, "inode"), (0x10, "mount"), (0x100, "file system")]);
            out.list("marks");
            writeln!(out, "{kind} {}  flags {:#x}  mask {}  ignored {}", shown(&m.path), m.flags, m.mask, m.ignored);
        }
    }
}
