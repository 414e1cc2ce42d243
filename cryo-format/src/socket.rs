//! What the sections of sockets share: options, messages, addresses.

use std::net::{IpAddr, SocketAddr};

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::{Blob, List, Raw};
use crate::rules::{Rule, Violation, ensure};

/// An option that is not as a fresh socket has it: what setsockopt(2) is called with.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SocketOption {
    /// SOL_SOCKET 1, IPPROTO_IP 0, IPPROTO_TCP 6, IPPROTO_UDP 17, IPPROTO_IPV6 41, IPPROTO_ICMPV6 58, SOL_RAW 255, SOL_PACKET 263, SOL_NETLINK 270.
    pub level: u32,
    /// One of those in [`OPTIONS`].
    pub name: u32,
    /// As getsockopt(2) gave it.
    pub value: Blob,
}

impl SocketOption {
    /// A value that is a number, as most are.
    pub fn number(&self) -> Option<u32> {
        Some(u32::from_le_bytes(self.value.as_slice().try_into().ok()?))
    }

    /// `SO_SNDBUF`, or numbers for what is not in [`OPTIONS`].
    pub fn label(&self) -> String {
        match OPTIONS.iter().find(|o| (o.0, o.1) == (self.level, self.name)) {
            Some(o) => o.2.to_owned(),
            None => format!("option {} of level {}", self.name, self.level),
        }
    }
}

/// Options MUST be ones that the format knows: a thawer sets them as they stand.
pub(crate) fn validate_options(options: &List<SocketOption>) -> Result<(), Violation> {
    for o in options {
        let known = OPTIONS.iter().any(|k| (k.0, k.1) == (o.level, o.name));
        ensure(known, Rule::VALUE, || format!("{} is not one that an image may hold", o.label()))?;
    }
    Ok(())
}

/// An internet address with its port.
#[binrw]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct InetAddress {
    /// Port; 0 for none.
    pub port: u32,
    /// IPv6: flow label.
    pub flow: u32,
    /// IPv6: number of the interface of a link-local address.
    pub scope: u32,
    /// In network order; of an IPv4 address the first four bytes.
    pub address: Raw<16>,
}

const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

impl InetAddress {
    /// From `struct sockaddr_in` or `struct sockaddr_in6`; of another family nothing.
    pub fn from_sockaddr(a: &[u8]) -> Self {
        let word = |at: usize| a.get(at..).and_then(|b| b.first_chunk()).map_or([0; 4], |b| *b);
        let [f0, f1, p0, p1] = word(0);
        let address = |from: usize, len: usize| {
            let mut address = [0; 16];
            if let Some(b) = a.get(from..from + len) {
                address[..len].copy_from_slice(b);
            }
            Raw(address)
        };
        let port = u16::from_be_bytes([p0, p1]).into();
        match u16::from_ne_bytes([f0, f1]) {
            AF_INET => Self { port, address: address(4, 4), ..Self::default() },
            AF_INET6 => {
                let (flow, scope) = (u32::from_be_bytes(word(4)), u32::from_le_bytes(word(24)));
                Self { port, flow, scope, address: address(8, 16) }
            }
            _ => Self::default(),
        }
    }

    /// `struct sockaddr_in` or `struct sockaddr_in6`.
    pub fn sockaddr(&self, family: u32) -> Vec<u8> {
        let mut s = (family as u16).to_ne_bytes().to_vec();
        s.extend((self.port as u16).to_be_bytes());
        if family == u32::from(AF_INET) {
            s.extend(&self.address.0[..4]);
            s.resize(16, 0);
        } else {
            s.extend(self.flow.to_be_bytes());
            s.extend(self.address.0);
            s.extend(self.scope.to_le_bytes());
        }
        s
    }

    /// Without the port.
    pub fn ip(&self, family: u32) -> IpAddr {
        let [a, b, c, d, ..] = self.address.0;
        if family == u32::from(AF_INET) { IpAddr::from([a, b, c, d]) } else { IpAddr::from(self.address.0) }
    }

    /// As people write it, and as two ends compare: an IPv4 address within IPv6 is an IPv4 address.
    pub fn plain(&self, family: u32) -> SocketAddr {
        SocketAddr::new(self.ip(family).to_canonical(), self.port as u16)
    }
}

const SOCKET: u32 = 1;
const IP: u32 = 0;
const TCP: u32 = 6;
const UDP: u32 = 17;
const IPV6: u32 = 41;
const ICMPV6: u32 = 58;
const RAW: u32 = 255;
const PACKET: u32 = 263;
const NETLINK: u32 = 270;

/// The options that are carried, in the order in which they are set: level, name, what it is called. Later ones may depend on earlier ones
/// (IP_TOS sets SO_PRIORITY; SO_SNDBUF sets a bit of SO_BUF_LOCK). The numbers are Linux's on x86.
#[rustfmt::skip]
pub const OPTIONS: &[(u32, u32, &str)] = &[
    (IP, 1, "IP_TOS"), (IP, 2, "IP_TTL"), (IP, 4, "IP_OPTIONS"), (IP, 6, "IP_RECVOPTS"), (IP, 7, "IP_RETOPTS"), (IP, 8, "IP_PKTINFO"),
    (IP, 10, "IP_MTU_DISCOVER"), (IP, 11, "IP_RECVERR"), (IP, 12, "IP_RECVTTL"), (IP, 13, "IP_RECVTOS"), (IP, 15, "IP_FREEBIND"),
    (IP, 18, "IP_PASSSEC"), (IP, 19, "IP_TRANSPARENT"), (IP, 20, "IP_RECVORIGDSTADDR"), (IP, 21, "IP_MINTTL"), (IP, 23, "IP_CHECKSUM"),
    (IP, 24, "IP_BIND_ADDRESS_NO_PORT"), (IP, 25, "IP_RECVFRAGSIZE"), (IP, 26, "IP_RECVERR_RFC4884"), (IP, 32, "IP_MULTICAST_IF"),
    (IP, 33, "IP_MULTICAST_TTL"), (IP, 34, "IP_MULTICAST_LOOP"), (IP, 49, "IP_MULTICAST_ALL"), (IP, 50, "IP_UNICAST_IF"),
    (IP, 51, "IP_LOCAL_PORT_RANGE"),
    (IPV6, 26, "IPV6_V6ONLY"), (IPV6, 16, "IPV6_UNICAST_HOPS"), (IPV6, 17, "IPV6_MULTICAST_IF"), (IPV6, 18, "IPV6_MULTICAST_HOPS"),
    (IPV6, 19, "IPV6_MULTICAST_LOOP"), (IPV6, 23, "IPV6_MTU_DISCOVER"), (IPV6, 25, "IPV6_RECVERR"), (IPV6, 29, "IPV6_MULTICAST_ALL"),
    (IPV6, 33, "IPV6_FLOWINFO_SEND"), (IPV6, 49, "IPV6_RECVPKTINFO"), (IPV6, 51, "IPV6_RECVHOPLIMIT"), (IPV6, 53, "IPV6_RECVHOPOPTS"),
    (IPV6, 56, "IPV6_RECVRTHDR"), (IPV6, 58, "IPV6_RECVDSTOPTS"), (IPV6, 60, "IPV6_RECVPATHMTU"), (IPV6, 62, "IPV6_DONTFRAG"),
    (IPV6, 66, "IPV6_RECVTCLASS"), (IPV6, 67, "IPV6_TCLASS"), (IPV6, 70, "IPV6_AUTOFLOWLABEL"), (IPV6, 72, "IPV6_ADDR_PREFERENCES"),
    (IPV6, 73, "IPV6_MINHOPCOUNT"), (IPV6, 74, "IPV6_RECVORIGDSTADDR"), (IPV6, 75, "IPV6_TRANSPARENT"), (IPV6, 76, "IPV6_UNICAST_IF"),
    (IPV6, 77, "IPV6_RECVFRAGSIZE"), (IPV6, 78, "IPV6_FREEBIND"),
    (TCP, 13, "TCP_CONGESTION"), (TCP, 1, "TCP_NODELAY"), (TCP, 2, "TCP_MAXSEG"), (TCP, 3, "TCP_CORK"), (TCP, 4, "TCP_KEEPIDLE"),
    (TCP, 5, "TCP_KEEPINTVL"), (TCP, 6, "TCP_KEEPCNT"), (TCP, 7, "TCP_SYNCNT"), (TCP, 8, "TCP_LINGER2"), (TCP, 9, "TCP_DEFER_ACCEPT"),
    (TCP, 10, "TCP_WINDOW_CLAMP"), (TCP, 16, "TCP_THIN_LINEAR_TIMEOUTS"), (TCP, 18, "TCP_USER_TIMEOUT"), (TCP, 23, "TCP_FASTOPEN"),
    (TCP, 25, "TCP_NOTSENT_LOWAT"), (TCP, 27, "TCP_SAVE_SYN"), (TCP, 30, "TCP_FASTOPEN_CONNECT"), (TCP, 34, "TCP_FASTOPEN_NO_COOKIE"),
    (TCP, 36, "TCP_INQ"), (TCP, 37, "TCP_TX_DELAY"),
    (UDP, 1, "UDP_CORK"), (UDP, 100, "UDP_ENCAP"), (UDP, 101, "UDP_NO_CHECK6_TX"), (UDP, 102, "UDP_NO_CHECK6_RX"),
    (UDP, 103, "UDP_SEGMENT"), (UDP, 104, "UDP_GRO"),
    (IP, 3, "IP_HDRINCL"), (IP, 5, "IP_ROUTER_ALERT"), (IP, 22, "IP_NODEFRAG"), (IPV6, 7, "IPV6_CHECKSUM"), (IPV6, 36, "IPV6_HDRINCL"),
    (RAW, 1, "ICMP_FILTER"), (ICMPV6, 1, "ICMPV6_FILTER"),
    (PACKET, 8, "PACKET_AUXDATA"), (PACKET, 9, "PACKET_ORIGDEV"), (PACKET, 10, "PACKET_VERSION"), (PACKET, 12, "PACKET_RESERVE"),
    (PACKET, 14, "PACKET_LOSS"), (PACKET, 15, "PACKET_VNET_HDR"), (PACKET, 17, "PACKET_TIMESTAMP"), (PACKET, 19, "PACKET_TX_HAS_OFF"),
    (PACKET, 20, "PACKET_QDISC_BYPASS"), (PACKET, 23, "PACKET_IGNORE_OUTGOING"), (PACKET, 24, "PACKET_VNET_HDR_SZ"),
    (NETLINK, 3, "NETLINK_PKTINFO"), (NETLINK, 4, "NETLINK_BROADCAST_ERROR"), (NETLINK, 5, "NETLINK_NO_ENOBUFS"),
    (NETLINK, 8, "NETLINK_LISTEN_ALL_NSID"), (NETLINK, 10, "NETLINK_CAP_ACK"), (NETLINK, 11, "NETLINK_EXT_ACK"),
    (NETLINK, 12, "NETLINK_GET_STRICT_CHK"),
    (SOCKET, 2, "SO_REUSEADDR"), (SOCKET, 15, "SO_REUSEPORT"), (SOCKET, 5, "SO_DONTROUTE"), (SOCKET, 6, "SO_BROADCAST"),
    (SOCKET, 7, "SO_SNDBUF"), (SOCKET, 8, "SO_RCVBUF"), (SOCKET, 72, "SO_BUF_LOCK"), (SOCKET, 9, "SO_KEEPALIVE"),
    (SOCKET, 10, "SO_OOBINLINE"), (SOCKET, 11, "SO_NO_CHECK"), (SOCKET, 12, "SO_PRIORITY"), (SOCKET, 13, "SO_LINGER"),
    (SOCKET, 16, "SO_PASSCRED"), (SOCKET, 34, "SO_PASSSEC"), (SOCKET, 76, "SO_PASSPIDFD"), (SOCKET, 83, "SO_PASSRIGHTS"),
    (SOCKET, 84, "SO_INQ"), (SOCKET, 18, "SO_RCVLOWAT"), (SOCKET, 20, "SO_RCVTIMEO"), (SOCKET, 21, "SO_SNDTIMEO"),
    (SOCKET, 25, "SO_BINDTODEVICE"), (SOCKET, 29, "SO_TIMESTAMP"), (SOCKET, 35, "SO_TIMESTAMPNS"), (SOCKET, 37, "SO_TIMESTAMPING"),
    (SOCKET, 63, "SO_TIMESTAMP_NEW"), (SOCKET, 64, "SO_TIMESTAMPNS_NEW"), (SOCKET, 36, "SO_MARK"), (SOCKET, 40, "SO_RXQ_OVFL"),
    (SOCKET, 41, "SO_WIFI_STATUS"), (SOCKET, 42, "SO_PEEK_OFF"), (SOCKET, 43, "SO_NOFCS"), (SOCKET, 45, "SO_SELECT_ERR_QUEUE"),
    (SOCKET, 46, "SO_BUSY_POLL"), (SOCKET, 47, "SO_MAX_PACING_RATE"), (SOCKET, 60, "SO_ZEROCOPY"), (SOCKET, 61, "SO_TXTIME"),
    (SOCKET, 69, "SO_PREFER_BUSY_POLL"), (SOCKET, 70, "SO_BUSY_POLL_BUDGET"), (SOCKET, 75, "SO_RCVMARK"), (SOCKET, 82, "SO_RCVPRIORITY"),
    // Last: nothing may be attached or detached behind it.
    (SOCKET, 44, "SO_LOCK_FILTER"),
];

#[cfg(test)]
mod tests {
    use super::InetAddress;

    #[test]
    fn addresses_are_the_same_on_their_way_through_the_kernel() {
        for (family, address, plain) in [
            (2, &[127, 0, 0, 1][..], "127.0.0.1:8080"),
            (10, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], "[::1]:8080"),
            (10, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1], "127.0.0.1:8080"),
        ] {
            let mut a = InetAddress { port: 8080, ..InetAddress::default() };
            a.address.0[..address.len()].copy_from_slice(address);
            if family == 10 {
                (a.flow, a.scope) = (0x12345, 2);
            }
            let bytes = a.sockaddr(family);
            assert_eq!(bytes.len(), if family == 2 { 16 } else { 28 });
            assert_eq!(InetAddress::from_sockaddr(&bytes), a);
            assert_eq!(a.plain(family).to_string(), plain);
            // What is cut off is not there.
            assert_eq!(InetAddress::from_sockaddr(&bytes[..6]).address.0, [0; 16]);
        }
        assert_eq!(InetAddress::from_sockaddr(b"\x01\0/tmp/x"), InetAddress::default());
    }
}
