//! An internet socket.

use std::net::SocketAddr;

use cryo_format::section::inet::{Inet, State};
use cryo_format::socket::InetAddress;

use super::{Cx, Print, sockets};
use crate::block::Blocks;
use crate::text::{count, size};

/// `127.0.0.1:80`.
fn address(family: u32, a: &InetAddress) -> String {
    SocketAddr::new(a.ip(family), a.port as u16).to_string()
}

impl Print for Inet {
    const TITLE: &'static str = "inet";

    fn print(&self, out: &mut Blocks, cx: &Cx<'_>) {
        let protocol = match self.protocol {
            1 | 58 => "ICMP".to_owned(),
            6 => "TCP".to_owned(),
            17 => "UDP".to_owned(),
            136 => "UDP-Lite".to_owned(),
            262 => "MPTCP".to_owned(),
            other => format!("protocol {other}"),
        };
        out.value("protocol", protocol);
        write!(out, " ");
        out.value("local", address(self.family, &self.local));
        if self.remote.port != 0 {
            write!(out, " - ");
            out.value("remote", address(self.family, &self.remote));
        }
        let peer = || sockets::description(self.peer, cx);
        let state = match self.state {
            State::FREE => String::new(),
            State::CONNECTED => format!("connected to {}", peer()),
            State::LISTENING => format!("listening, backlog {}", self.backlog),
            State::RESET => "the program finds it reset".to_owned(),
            State::WAITING => format!("waits for {} to accept it", peer()),
            State::KEPT => "kept".to_owned(),
            State::OVER => "over".to_owned(),
            State::ALONE => "the other end is closed".to_owned(),
            State(other) => format!("state {other}"),
        };
        if !state.is_empty() {
            write!(out, "  ");
            out.value("state", state);
        }
        let queue: Vec<&[u8]> = self.queue.iter().map(|m| m.data.as_slice()).collect();
        sockets::status(out, self.shutdown, self.kind, &queue);
        for kept in self.kept.iter().filter(|k| !k.sent.is_empty()) {
            write!(out, ", {} on their way", size(kept.sent.len() as u64));
        }
        if !self.groups.is_empty() {
            write!(out, ", in {}", count(self.groups.len() as u64, "multicast group", "multicast groups"));
        }
        let options = sockets::options(&self.options, &self.filter);
        writeln!(out, "{}{options}", sockets::flags(self.open_flags.0));
    }
}
