//! `NTLK`: a netlink socket. Owner: the description. (netlink(7))

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::{Addr, Blob, List};
use crate::rules::{Rule, Violation, ensure};
use crate::section::Validate;
use crate::socket::{SocketOption, validate_options};

/// A netlink socket with nothing in its queue.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Netlink {
    /// SOCK_DGRAM 2, SOCK_RAW 3.
    pub kind: u32,
    /// NETLINK_ROUTE 0, NETLINK_KOBJECT_UEVENT 15, ...
    pub protocol: u32,
    /// open(2) flags.
    pub open_flags: Addr,
    /// Its port; 0 while it is not bound.
    pub port: u32,
    /// Whom it is connected to: the port.
    pub remote_port: u32,
    /// Whom it is connected to: the mask of groups.
    pub remote_groups: u32,
    /// Reserved; 0.
    pub reserved: u32,
    /// The groups that it has joined, ascending.
    pub groups: List<u32>,
    /// Options that are not as a fresh socket has them.
    pub options: List<SocketOption>,
    /// The classic BPF program attached to it, `struct sock_filter`s; else empty.
    pub filter: Blob,
}

impl Validate for Netlink {
    fn validate(&self) -> Result<(), Violation> {
        ensure(self.reserved == 0, Rule::RESERVED, || "the reserved field is not zero")?;
        ensure(matches!(self.kind, 2 | 3), Rule::VALUE, || format!("{} is no type of netlink socket", self.kind))?;
        ensure(self.filter.len().is_multiple_of(8), Rule::VALUE, || "the filter ends inside an instruction")?;
        crate::rules::ascending(&self.groups, |g| *g)
            .map_err(|i| Rule::SORTED.broken(format!("group {} is out of order", self.groups[i])))?;
        validate_options(&self.options)
    }
}
