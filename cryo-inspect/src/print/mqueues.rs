//! POSIX message queues.

use cryo_format::section::mqueues::Mqueue;

use super::{Cx, Print};
use crate::block::Blocks;
use crate::names::open::open_flags;
use crate::text::shown;

impl Print for Mqueue {
    const TITLE: &'static str = "message queue";

    fn print(&self, out: &mut Blocks, _: &Cx<'_>) {
        let gone = if self.unlinked != 0 { " (unlinked)" } else { "" };
        write!(out, "{}{gone}  {}  ", shown(&self.name), open_flags(self.open_flags.0));
        writeln!(
            out,
            "{} messages, room for {} of {} bytes",
            self.messages.len(),
            self.max_messages,
            self.message_size
        );
    }
}
