//! A packet socket.

use cryo_format::section::packet::PacketSocket;

use super::{Cx, Print, sockets};
use crate::block::Blocks;
use crate::names::one_of;
use crate::text::{clipped, count};

/// linux/if_ether.h
const PROTOCOLS: &[(u64, &str)] = &[
    (0, "nothing"),
    (3, "ETH_P_ALL"),
    (0x800, "ETH_P_IP"),
    (0x806, "ETH_P_ARP"),
    (0x86dd, "ETH_P_IPV6"),
    (0x88cc, "ETH_P_LLDP"),
];

/// A name of an interface has up to 15 bytes.
const NAME: usize = 32;

impl Print for PacketSocket {
    const TITLE: &'static str = "packet";

    fn print(&self, out: &mut Blocks, _: &Cx<'_>) {
        write!(out, "{}  receives {}", sockets::kind(self.kind), one_of(self.protocol.into(), PROTOCOLS));
        match self.interface {
            0 => write!(out, " of all interfaces"),
            n => write!(out, " of interface {n} ({})", clipped(&self.interface_name, NAME)),
        }
        if self.in_fanout != 0 {
            write!(out, ", fanout group {}", self.fanout & 0xffff);
        }
        if !self.memberships.is_empty() {
            write!(out, ", {}", count(self.memberships.len() as u64, "membership", "memberships"));
        }
        let options = sockets::options(&self.options, &self.filter);
        writeln!(out, "{}{options}", sockets::flags(self.open_flags.0));
    }
}
