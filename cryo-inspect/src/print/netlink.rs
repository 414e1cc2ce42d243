//! A netlink socket.

use cryo_format::section::netlink::Netlink;

use super::{Cx, Print, sockets};
use crate::block::Blocks;
use crate::names::one_of;

/// linux/netlink.h
const PROTOCOLS: &[(u64, &str)] = &[
    (0, "NETLINK_ROUTE"),
    (2, "NETLINK_USERSOCK"),
    (4, "NETLINK_SOCK_DIAG"),
    (6, "NETLINK_XFRM"),
    (7, "NETLINK_SELINUX"),
    (9, "NETLINK_AUDIT"),
    (11, "NETLINK_CONNECTOR"),
    (12, "NETLINK_NETFILTER"),
    (15, "NETLINK_KOBJECT_UEVENT"),
    (16, "NETLINK_GENERIC"),
    (21, "NETLINK_CRYPTO"),
];

impl Print for Netlink {
    const TITLE: &'static str = "netlink";

    fn print(&self, out: &mut Blocks, _: &Cx<'_>) {
        write!(out, "{} {}", sockets::kind(self.kind), one_of(self.protocol.into(), PROTOCOLS));
        match self.port {
            0 => write!(out, "  not bound"),
            port => write!(out, "  port {port}"),
        }
        if !self.groups.is_empty() {
            let groups: Vec<String> = self.groups.iter().map(u32::to_string).collect();
            write!(out, ", groups {}", groups.join(" "));
        }
        if self.remote_port != 0 || self.remote_groups != 0 {
            write!(out, ", connected to port {}", self.remote_port);
        }
        if self.remote_groups != 0 {
            write!(out, " and groups {:#x}", self.remote_groups);
        }
        let options = sockets::options(&self.options, &self.filter);
        writeln!(out, "{}{options}", sockets::flags(self.open_flags.0));
    }
}
