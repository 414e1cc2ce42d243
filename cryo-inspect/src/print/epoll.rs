//! Epoll sets.

use cryo_format::section::epoll::Epoll;

use super::{Cx, Print};
use crate::block::{Blocks, Cell};
use crate::names::bits;
use crate::names::open::open_flags;

const EVENTS: &[(u64, &str)] = &[
    (0x1, "IN"),
    (0x2, "PRI"),
    (0x4, "OUT"),
    (0x8, "ERR"),
    (0x10, "HUP"),
    (0x20, "NVAL"),
    (0x40, "RDNORM"),
    (0x80, "RDBAND"),
    (0x100, "WRNORM"),
    (0x200, "WRBAND"),
    (0x400, "MSG"),
    (0x2000, "RDHUP"),
    (1 << 28, "EXCLUSIVE"),
    (1 << 29, "WAKEUP"),
    (1 << 30, "ONESHOT"),
    (1 << 31, "ET"),
];

impl Print for Epoll {
    const TITLE: &'static str = "epoll";

    fn print(&self, out: &mut Blocks, _: &Cx<'_>) {
        write!(out, "{} watched  ", self.watches.len());
        out.value("flags", open_flags(self.open_flags.0));
        writeln!(out);
        for w in &self.watches {
            out.list("watches");
            write!(out, "fd ");
            out.value("fd", Cell::number(w.fd.into()));
            if w.description != 0 {
                write!(out, " (description ");
                out.value("description", Cell::number(w.description));
                write!(out, ")");
            } else if w.through != w.fd {
                write!(out, " (now ");
                out.value("now", Cell::number(w.through.into()));
                write!(out, ")");
            }
            write!(out, "  ");
            out.value("events", bits(w.events.into(), EVENTS, "|"));
            write!(out, "  data ");
            out.value("data", w.data.to_string());
            if w.state & 1 != 0 {
                write!(out, "  ");
                out.value("state", "reported already");
            }
            writeln!(out);
        }
    }
}
