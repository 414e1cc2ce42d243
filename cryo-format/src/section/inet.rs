//! `INET`: a socket of TCP or UDP, over IPv4 or IPv6. Owner: the description. (tcp(7), udp(7))

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::{Addr, Blob, Bytes, List};
use crate::rules::{Rule, Violation, ensure};
use crate::section::{Named, Section, Validate};
use crate::socket::{InetAddress, SocketOption, validate_options};

/// An internet socket.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Inet {
    /// AF_INET 2, AF_INET6 10.
    pub family: u32,
    /// SOCK_STREAM 1, SOCK_DGRAM 2.
    pub kind: u32,
    /// IPPROTO_TCP 6, IPPROTO_UDP 17, IPPROTO_MPTCP 262, ...
    pub protocol: u32,
    /// One of the constants of [`State`].
    pub state: State,
    /// open(2) flags.
    pub open_flags: Addr,
    /// Its own address; the port is 0 while it is not bound.
    pub local: InetAddress,
    /// Whom it is connected to; the port is 0 for nobody.
    pub remote: InetAddress,
    /// 1: it receives no more; 2: it sends no more.
    pub shutdown: u32,
    /// LISTENING: listen(2)'s limit of those who wait. WAITING: its place among them, from 0.
    pub backlog: u32,
    /// CONNECTED: the description at the other end. WAITING: the listener's. Else 0.
    pub peer: u64,
    /// Options that are not as a fresh socket has them.
    pub options: List<SocketOption>,
    /// The classic BPF program attached to it, `struct sock_filter`s; else empty.
    pub filter: Blob,
    /// What waits to be read: datagrams in their order; of a stream one, with all its bytes.
    pub queue: List<InetMessage>,
    /// Multicast groups that it has joined.
    pub groups: List<Membership>,
    /// KEPT: how the connection goes on, once; else empty.
    pub kept: List<Kept>,
}

/// A multicast group.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Membership {
    /// AF_INET 2, AF_INET6 10.
    pub family: u32,
    /// Number of the interface.
    pub interface: u32,
    /// The group; its port is 0.
    pub group: InetAddress,
}

/// A datagram that waits.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct InetMessage {
    /// Its sender; the port is 0 where the socket is connected.
    pub sender: InetAddress,
    /// Its bytes.
    pub data: Blob,
}

/// A connection to the outside that goes on where it was: what TCP_REPAIR gives (tcp(7); linux/tcp.h).
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Kept {
    /// TCP_QUEUE_SEQ of the send queue: the number behind its last byte.
    pub send_seq: u32,
    /// TCP_QUEUE_SEQ of the receive queue: the number behind its last byte.
    pub receive_seq: u32,
    /// How many of the last bytes of `sent` have never been on their way.
    pub not_sent: u32,
    /// TCP_MAXSEG.
    pub mss: u32,
    /// Bits of tcpi_options: timestamps 1, SACK 2, window scaling 4.
    pub options: u32,
    /// Window scale of what it sends.
    pub send_scale: u32,
    /// Window scale of what it receives.
    pub receive_scale: u32,
    /// TCP_TIMESTAMP.
    pub timestamp: u32,
    /// TCP_REPAIR_WINDOW: snd_wl1, where the peer's window was last updated.
    pub send_wl1: u32,
    /// TCP_REPAIR_WINDOW: snd_wnd, the peer's window.
    pub send_window: u32,
    /// TCP_REPAIR_WINDOW: max_window, the largest that the peer has offered.
    pub max_window: u32,
    /// TCP_REPAIR_WINDOW: rcv_wnd, the window that was offered to the peer.
    pub receive_window: u32,
    /// TCP_REPAIR_WINDOW: rcv_wup, what had been received when it was.
    pub receive_wup: u32,
    /// What was written and not acknowledged.
    pub sent: Blob,
    /// The abstract unix name, without its zero byte, of a process that keeps the peer waiting on the machine where it was frozen.
    pub door: Bytes,
}

/// What it is connected to.
#[binrw]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct State(pub u32);

impl State {
    /// Nothing; UDP may still have a `remote`.
    pub const FREE: Self = Self(0);
    /// The description `peer`.
    pub const CONNECTED: Self = Self(1);
    /// It listens.
    pub const LISTENING: Self = Self(2);
    /// A connection that the program finds reset.
    pub const RESET: Self = Self(3);
    /// The listener `peer`, which has not accepted it yet.
    pub const WAITING: Self = Self(4);
    /// A connection to the outside that goes on: see `kept`.
    pub const KEPT: Self = Self(5);
    /// A connection that is over: reading gives what waits, then the end; writing an error.
    pub const OVER: Self = Self(6);
    /// A connection whose other end was closed: reading gives what waits, then the end.
    pub const ALONE: Self = Self(7);
}

impl Validate for Inet {
    fn validate(&self) -> Result<(), Violation> {
        ensure(matches!(self.family, 2 | 10), Rule::VALUE, || format!("{} is no internet family", self.family))?;
        ensure(matches!(self.kind, 1 | 2), Rule::VALUE, || format!("{} is no type of internet socket", self.kind))?;
        ensure(self.state.0 <= State::ALONE.0, Rule::VALUE, || format!("{} is no state", self.state.0))?;
        ensure(self.shutdown <= 3, Rule::VALUE, || format!("{} is no way to shut down", self.shutdown))?;
        ensure(self.filter.len().is_multiple_of(8), Rule::VALUE, || "the filter ends inside an instruction")?;
        let kept = usize::from(self.state == State::KEPT);
        let groups = self.groups.iter().all(|g| matches!(g.family, 2 | 10));
        ensure(groups, Rule::VALUE, || "a multicast group of no internet family")?;
        ensure(self.kept.len() == kept, Rule::VALUE, || format!("{} ways to go on in this state", self.kept.len()))?;
        validate_options(&self.options)
    }

    fn names(&self) -> Vec<(Named, u64)> {
        vec![(Named::OwnerOf(Self::KIND), self.peer)]
    }
}
