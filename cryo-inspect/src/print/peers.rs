//! Who a unix socket says is at its other end.

use cryo_format::section::peers::Peer;

use super::{Cx, Print};
use crate::block::Blocks;

impl Print for Peer {
    const TITLE: &'static str = "peer";

    fn print(&self, out: &mut Blocks, _cx: &Cx<'_>) {
        out.value("peer", format!("process {} (user {}, group {})", self.pid, self.uid, self.gid));
        writeln!(out);
    }
}
