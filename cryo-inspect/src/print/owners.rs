//! Who is told of input.

use cryo_format::section::owners::Owner;

use super::{Cx, Print};
use crate::block::Blocks;
use crate::names::signal;

impl Print for Owner {
    const TITLE: &'static str = "owner";

    fn print(&self, out: &mut Blocks, _: &Cx<'_>) {
        let who = match self.kind {
            0 => "nobody".to_owned(),
            1 => format!("process with the local id {}", self.owner),
            2 => format!("thread with the local id {}", self.owner),
            3 => "the process's own group".to_owned(),
            4 => format!("{}, who is not in the image", self.owner),
            other => format!("{} of kind {other}", self.owner),
        };
        let signal = if self.signal == 0 { "SIGIO".to_owned() } else { signal::name(self.signal.into()) };
        writeln!(out, "{signal} to {who}{}", if self.asynchronous != 0 { "  O_ASYNC" } else { "" });
    }
}
