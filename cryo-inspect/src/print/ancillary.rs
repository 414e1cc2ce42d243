//! What travels with messages that wait in a unix socket.

use cryo_format::section::ancillary::Ancillary;

use super::{Cx, Print, sockets};
use crate::block::Blocks;

impl Print for Ancillary {
    const TITLE: &'static str = "messages that wait";

    fn print(&self, out: &mut Blocks, cx: &Cx<'_>) {
        for m in &self.messages {
            let place = if m.len > 0 {
                format!("bytes {}-{}", m.at, m.at.saturating_add(m.len))
            } else {
                format!("message {}", m.at)
            };
            out.value("message", place);
            if m.pid != 0 {
                write!(out, "  sent by process {} (user {}, group {})", m.pid, m.uid, m.gid);
            }
            if !m.descriptions.is_empty() {
                let all: Vec<String> = m.descriptions.iter().map(|id| sockets::description(*id, cx)).collect();
                write!(out, "  with descriptors: {}", all.join(", "));
            }
            writeln!(out);
        }
    }
}
