//! A raw socket.

use cryo_format::section::raw::RawSocket;

use super::{Cx, Print, sockets};
use crate::block::Blocks;
use crate::names::one_of;
use crate::text::count;

/// linux/in.h
const PROTOCOLS: &[(u64, &str)] = &[
    (1, "ICMP"),
    (2, "IGMP"),
    (6, "TCP"),
    (17, "UDP"),
    (47, "GRE"),
    (58, "ICMPv6"),
    (89, "OSPF"),
    (255, "IPPROTO_RAW"),
];

/// sys/socket.h
const SOCK_RAW: u32 = 3;

impl Print for RawSocket {
    const TITLE: &'static str = "raw";

    fn print(&self, out: &mut Blocks, _: &Cx<'_>) {
        out.value("protocol", one_of(self.protocol.into(), PROTOCOLS));
        write!(out, " ");
        out.value("local", self.local.ip(self.family).to_string());
        if self.connected != 0 {
            write!(out, " - ");
            out.value("remote", self.remote.ip(self.family).to_string());
        }
        sockets::status(out, self.shutdown, SOCK_RAW, &[]);
        if !self.groups.is_empty() {
            write!(out, ", in {}", count(self.groups.len() as u64, "multicast group", "multicast groups"));
        }
        let options = sockets::options(&self.options, &self.filter);
        writeln!(out, "{}{options}", sockets::flags(self.open_flags.0));
    }
}
