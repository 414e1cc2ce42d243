//! Pipes and FIFOs whose ends are inside.

use cryo_format::section::pipes::{Pipe, PipeEnd};

use super::{Cx, Order, Print};
use crate::block::{Blocks, Cell};
use crate::names::open::open_flags;
use crate::text::{clipped, shown_or};

/// Bytes of the content that are shown beside a descriptor.
const GLIMPSE: usize = 32;

impl Print for Pipe {
    const TITLE: &'static str = "pipe";
    const ORDER: Order = Order::Within;

    fn print(&self, out: &mut Blocks, _: &Cx<'_>) {
        let bytes: usize = self.content.iter().map(|c| c.len()).sum();
        out.value("path", shown_or(&self.path, "a pipe"));
        write!(out, ", ");
        out.value("used", Cell::number(bytes as u64));
        write!(out, " of ");
        out.value("capacity", Cell::number(self.capacity.into()));
        write!(out, " bytes used");
        if self.packets != 0 {
            write!(out, " in {} packets", self.content.len());
        }
        match self.content.first() {
            Some(first) => {
                write!(out, ": ");
                out.value("begins", clipped(first, GLIMPSE));
                writeln!(out);
            }
            None => writeln!(out),
        }
    }
}

impl Print for PipeEnd {
    const TITLE: &'static str = "pipe";

    fn shows(&self) -> Vec<u64> {
        vec![self.pipe]
    }

    fn print(&self, out: &mut Blocks, cx: &Cx<'_>) {
        write!(out, "end of pipe ");
        out.value("pipe", Cell::number(self.pipe));
        write!(out, "  ");
        out.value("flags", open_flags(self.open_flags.0));
        write!(out, "  ");
        match cx.ice.get::<Pipe>(self.pipe) {
            Some(pipe) => pipe.print(out, cx),
            None => writeln!(out, "(the pipe is not in the image)"),
        }
    }
}
