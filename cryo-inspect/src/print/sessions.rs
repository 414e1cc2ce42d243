//! Sessions whose controlling terminal is in the image.

use cryo_format::section::ptys::Pty;
use cryo_format::section::sessions::{DevTty, Sessions};

use super::{Cx, Print};
use crate::block::Blocks;
use crate::names::open::open_flags;

/// The old name of a pseudo-terminal.
fn name(cx: &Cx<'_>, pty: u64) -> String {
    match cx.ice.get::<Pty>(pty) {
        Some(pty) => format!("/dev/pts/{}", pty.number),
        None => format!("pseudo-terminal {pty} (not in the image)"),
    }
}

impl Print for Sessions {
    const TITLE: &'static str = "sessions on pseudo-terminals of the image";

    fn print(&self, out: &mut Blocks, cx: &Cx<'_>) {
        for s in &self.sessions {
            write!(out, "session {}  controlling terminal {}", s.sid, name(cx, s.pty));
            if s.foreground != 0 {
                write!(out, "  process group {} in the foreground", s.foreground);
            }
            writeln!(out);
        }
    }
}

impl Print for DevTty {
    const TITLE: &'static str = "tty";

    fn print(&self, out: &mut Blocks, cx: &Cx<'_>) {
        writeln!(out, "/dev/tty  {}  which is {}", open_flags(self.open_flags.0), name(cx, self.pty));
    }
}
