//! `RAWS`: a raw socket over IPv4 or IPv6. Owner: the description. (raw(7))

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::{Addr, Blob, List};
use crate::rules::{Rule, Violation, ensure};
use crate::section::Validate;
use crate::section::inet::Membership;
use crate::socket::{InetAddress, SocketOption, validate_options};

/// A raw socket. Packets that wait in it are not in the image.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RawSocket {
    /// AF_INET 2, AF_INET6 10.
    pub family: u32,
    /// IPPROTO_ICMP 1, IPPROTO_ICMPV6 58, IPPROTO_RAW 255, ...
    pub protocol: u32,
    /// open(2) flags.
    pub open_flags: Addr,
    /// Its own address.
    pub local: InetAddress,
    /// Whom it is connected to.
    pub remote: InetAddress,
    /// 1 if it is connected.
    pub connected: u32,
    /// 1: it receives no more; 2: it sends no more.
    pub shutdown: u32,
    /// Options that are not as a fresh socket has them.
    pub options: List<SocketOption>,
    /// The classic BPF program attached to it, `struct sock_filter`s; else empty.
    pub filter: Blob,
    /// Multicast groups that it has joined.
    pub groups: List<Membership>,
}

impl Validate for RawSocket {
    fn validate(&self) -> Result<(), Violation> {
        ensure(matches!(self.family, 2 | 10), Rule::VALUE, || format!("{} is no internet family", self.family))?;
        ensure(self.connected <= 1, Rule::VALUE, || format!("connected is {}", self.connected))?;
        ensure(self.shutdown <= 3, Rule::VALUE, || format!("{} is no way to shut down", self.shutdown))?;
        ensure(self.filter.len().is_multiple_of(8), Rule::VALUE, || "the filter ends inside an instruction")?;
        let groups = self.groups.iter().all(|g| matches!(g.family, 2 | 10));
        ensure(groups, Rule::VALUE, || "a multicast group of no internet family")?;
        validate_options(&self.options)
    }
}
