//! What the kernel tells of a TCP connection (tcp(7), TCP_INFO).

use std::os::fd::OwnedFd;

use cryo_tracee::sockets as kernel;

use crate::Result;

const TCP: u32 = libc::IPPROTO_TCP as u32;
const TCP_INFO: u32 = libc::TCP_INFO as u32;
/// What is negotiated or measured in a connection, and no option of the program's.
pub const OF_CONNECTION: &[(u32, u32)] = &[
    (TCP, libc::TCP_MAXSEG as u32),
    (TCP, libc::TCP_WINDOW_CLAMP as u32),
    (libc::IPPROTO_IPV6 as u32, libc::IPV6_V6ONLY as u32),
];

/// States of a connection (include/net/tcp_states.h).
/// Both directions are open.
pub const ESTABLISHED: u8 = 1;
pub const FIN_WAIT1: u8 = 4;
pub const FIN_WAIT2: u8 = 5;
pub const CLOSE: u8 = 7;
pub const CLOSE_WAIT: u8 = 8;
pub const LAST_ACK: u8 = 9;
pub const LISTEN: u8 = 10;
pub const CLOSING: u8 = 11;

/// `struct tcp_info` of linux/tcp.h, as far as it is needed here.
pub struct Info(Vec<u8>);

impl Info {
    /// Of a socket.
    pub fn of(fd: &OwnedFd) -> Result<Self> {
        Ok(Self(kernel::option(fd, TCP, TCP_INFO)?))
    }

    /// A word of it.
    pub fn word(&self, at: usize) -> u32 {
        self.0.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u32::from_le_bytes(*b))
    }

    pub fn long(&self, at: usize) -> u64 {
        self.0.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u64::from_le_bytes(*b))
    }

    /// TCP_ESTABLISHED and so on.
    pub fn state(&self) -> u8 {
        self.0.first().copied().unwrap_or(0)
    }

    /// A byte of it.
    pub fn byte(&self, at: usize) -> u32 {
        self.0.get(at).copied().unwrap_or(0).into()
    }

    /// Of a listener: how many wait, and how many may.
    pub fn backlog(&self) -> (u32, u32) {
        (self.word(24), self.word(28))
    }

    /// Bytes of data that were put on the way, each once.
    pub fn sent(&self) -> u64 {
        self.long(200).saturating_sub(self.long(208))
    }

    pub fn received(&self) -> u64 {
        self.long(128)
    }

    pub fn not_sent(&self) -> u32 {
        self.word(144)
    }
}
