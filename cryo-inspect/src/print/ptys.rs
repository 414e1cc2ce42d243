//! Pseudo-terminals whose master is inside.

use cryo_format::section::ptys::{Pty, PtyEnd, PtyFlags};

use super::terminal::modes;
use super::{Cx, Order, Print};
use crate::block::Blocks;
use crate::names::bits;
use crate::names::open::open_flags;
use crate::text::wrap;

/// A line of names is at most that long.
const WIDTH: usize = 90;

impl Print for Pty {
    const TITLE: &'static str = "pseudo-terminal";
    const ORDER: Order = Order::Within;

    fn print(&self, out: &mut Blocks, _: &Cx<'_>) {
        write!(out, "/dev/pts/{}, {} lines of {} columns", self.number, self.settings.rows, self.settings.columns);
        if self.flags != 0 {
            let names = &[
                (PtyFlags::LOCKED.into(), "locked"),
                (PtyFlags::PACKET.into(), "packet mode"),
                (PtyFlags::EXCLUSIVE.into(), "exclusive"),
                (PtyFlags::HUNG_UP.into(), "hung up"),
            ];
            write!(out, ", {}", bits(self.flags.into(), names, ", "));
        }
        let modes = modes(&self.settings).join(" ");
        writeln!(out, "\n{}", wrap(modes.split(' ').filter(|word| *word != "-"), WIDTH));
    }
}

impl Print for PtyEnd {
    const TITLE: &'static str = "pty";

    fn shows(&self) -> Vec<u64> {
        vec![self.pty]
    }

    fn print(&self, out: &mut Blocks, cx: &Cx<'_>) {
        let end = match (self.master, self.exclusive) {
            (0, 0) => "slave",
            (0, _) => "slave (exclusive)",
            _ => "master",
        };
        write!(out, "{end}  {}  of ", open_flags(self.open_flags.0));
        match cx.ice.get::<Pty>(self.pty) {
            // What it is like is said once.
            Some(pty) if self.master != 0 => pty.print(out, cx),
            Some(pty) => writeln!(out, "/dev/pts/{}", pty.number),
            None => writeln!(out, "pseudo-terminal {} (not in the image)", self.pty),
        }
    }
}
