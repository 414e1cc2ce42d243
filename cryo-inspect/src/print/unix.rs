//! A unix socket.

use cryo_format::section::unix::{State, Unix};

use super::{Cx, Print, sockets};
use crate::block::Blocks;
use crate::text::shown;

impl Print for Unix {
    const TITLE: &'static str = "unix";

    fn print(&self, out: &mut Blocks, cx: &Cx<'_>) {
        let name = match self.name.as_slice() {
            [] => String::new(),
            [0, rest @ ..] => format!(" @{}", shown(rest)),
            path => format!(" {}", shown(path)),
        };
        let peer = || sockets::description(self.peer, cx);
        let state = match self.state {
            State::FREE => "not connected".to_owned(),
            State::CONNECTED => format!("connected to {}", peer()),
            State::LISTENING => format!("listening, backlog {}", self.backlog),
            State::ALONE => "the other end is closed".to_owned(),
            State::WAITING => format!("waits for {} to accept it", peer()),
            State(other) => format!("state {other}"),
        };
        let queue: Vec<&[u8]> = self.queue.iter().map(|m| m.data.as_slice()).collect();
        out.value("type", sockets::kind(self.kind));
        if !name.is_empty() {
            write!(out, " ");
            out.value("name", name.trim_start());
        }
        write!(out, "  ");
        out.value("state", state);
        sockets::status(out, self.shutdown, self.kind, &queue);
        if self.error != 0 {
            write!(out, ", error {}", self.error);
        }
        let options = sockets::options(&self.options, &self.filter);
        writeln!(out, "{}{options}", sockets::flags(self.open_flags.0));
    }
}
