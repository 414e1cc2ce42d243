//! `PCKT`: a packet socket. Owner: the description. (packet(7))

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::{Addr, Blob, Bytes, List};
use crate::rules::{Rule, Violation, ensure};
use crate::section::Validate;
use crate::socket::{SocketOption, validate_options};

/// A packet socket without rings. Packets that wait in it are not in the image.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PacketSocket {
    /// SOCK_DGRAM 2, SOCK_RAW 3.
    pub kind: u32,
    /// What it receives: ETH_P_ALL 3, ETH_P_IP 0x800, ...; 0 for nothing.
    pub protocol: u32,
    /// open(2) flags.
    pub open_flags: Addr,
    /// Number of the interface that it is bound to; 0 for all.
    pub interface: u32,
    /// 1 if it is in a fanout group.
    pub in_fanout: u32,
    /// PACKET_FANOUT: the group's number, its type in bits 16 to 23 and its flags above.
    pub fanout: u32,
    /// Must be zero.
    pub reserved: u32,
    /// The name of the interface; empty for all.
    pub interface_name: Bytes,
    /// Options that are not as a fresh socket has them.
    pub options: List<SocketOption>,
    /// The classic BPF program attached to it, `struct sock_filter`s; else empty.
    pub filter: Blob,
    /// PACKET_ADD_MEMBERSHIP: what it has its interfaces receive.
    pub memberships: List<PacketMembership>,
}

/// `struct packet_mreq`.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PacketMembership {
    /// Number of the interface.
    pub interface: u32,
    /// PACKET_MR_MULTICAST 0, PACKET_MR_PROMISC 1, PACKET_MR_ALLMULTI 2, PACKET_MR_UNICAST 3.
    pub kind: u32,
    /// How often it was added.
    pub count: u32,
    /// Must be zero.
    pub reserved: u32,
    /// The name of the interface.
    pub interface_name: Bytes,
    /// The hardware address; empty if it is about all.
    pub address: Blob,
}

/// How often one membership may have been added, and how long its address may be (MAX_ADDR_LEN of linux/netdevice.h).
const MAX_COUNT: u32 = 1 << 16;
const MAX_ADDRESS: usize = 32;

impl Validate for PacketSocket {
    fn validate(&self) -> Result<(), Violation> {
        ensure(self.reserved == 0, Rule::RESERVED, || "the reserved field is not zero")?;
        ensure(matches!(self.kind, 2 | 3), Rule::VALUE, || format!("{} is no type of packet socket", self.kind))?;
        ensure(self.protocol <= 0xffff, Rule::VALUE, || format!("protocol {}", self.protocol))?;
        ensure(self.in_fanout <= 1, Rule::VALUE, || format!("in_fanout is {}", self.in_fanout))?;
        ensure(self.filter.len().is_multiple_of(8), Rule::VALUE, || "the filter ends inside an instruction")?;
        for m in &self.memberships {
            ensure(m.reserved == 0, Rule::RESERVED, || "a reserved field of a membership is not zero")?;
            let right = m.kind <= 3 && (1..=MAX_COUNT).contains(&m.count) && m.address.len() <= MAX_ADDRESS;
            ensure(right, Rule::VALUE, || format!("a membership of type {}, {} times", m.kind, m.count))?;
        }
        validate_options(&self.options)
    }
}
