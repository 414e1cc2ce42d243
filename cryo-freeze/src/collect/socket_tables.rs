//! What is asked once and holds for all sockets: the kernel's lists of them.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;

use cryo_format::prim::Raw;
use cryo_format::section::inet::Membership;
use cryo_format::socket::InetAddress;
use cryo_tracee::sock_diag::{self, UnixSocket};

use super::{RefusalKind, refuse};
use crate::Result;

const TCP_LISTEN: u8 = 10;
const AF_INET: u32 = libc::AF_INET as u32;
const AF_INET6: u32 = libc::AF_INET6 as u32;

/// Values of options, by level and name.
pub type Values = HashMap<(u32, u32), Vec<u8>>;

/// What is asked once and holds for all sockets.
#[derive(Default)]
pub struct SocketTables {
    unix: Option<UnixSockets>,
    /// Connections inside the process.
    pub inet: Option<Inside>,
    groups: Option<Vec<Membership>>,
    /// Options of a fresh socket, by family, kind and protocol.
    pub fresh: HashMap<(u32, u32, u32), Values>,
    /// By family and protocol, see [`sock_diag::udp_shutdown`].
    udp_shutdown: HashMap<(u32, u32), HashMap<u32, u8>>,
}

impl SocketTables {
    /// The unix sockets of the machine.
    pub fn unix(&mut self) -> Result<&UnixSockets> {
        if self.unix.is_none() {
            self.unix = Some(UnixSockets::new(sock_diag::unix()?));
        }
        match &self.unix {
            Some(known) => Ok(known),
            None => refuse(RefusalKind::Machine, "the list of unix sockets is missing"),
        }
    }

    /// The UDP sockets of the machine, by inode, and whether they were shut down.
    pub fn udp_shutdown(&mut self, family: u32, protocol: u32) -> Result<&HashMap<u32, u8>> {
        match self.udp_shutdown.entry((family, protocol)) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(unknown) => Ok(unknown.insert(sock_diag::udp_shutdown(family, protocol)?)),
        }
    }

    /// Multicast groups of the machine.
    pub fn groups(&mut self, pid: i32) -> &[Membership] {
        self.groups.get_or_insert_with(|| machine_groups(pid))
    }
}

/// The unix sockets of the machine.
pub struct UnixSockets {
    /// By inode.
    pub by_ino: HashMap<u32, UnixSocket>,
    /// Those who wait to be accepted: by whom, and at which place.
    pub waiting: HashMap<u32, (u32, u32)>,
}

impl UnixSockets {
    /// From the kernel's list.
    pub fn new(by_ino: HashMap<u32, UnixSocket>) -> Self {
        let listeners = by_ino.values().filter(|s| s.state == TCP_LISTEN);
        let waiting =
            listeners.flat_map(|l| l.waiting.iter().zip(0..).map(|(client, place)| (*client, (l.ino, place))));
        let waiting = waiting.collect();
        Self { by_ino, waiting }
    }
}

/// Connections and listeners of the process, by their addresses.
#[derive(Default)]
pub struct Inside {
    /// (local, remote) -> description and inode.
    pub connected: HashMap<(SocketAddr, SocketAddr), u64>,
    /// Local -> description.
    pub listening: HashMap<SocketAddr, u64>,
    /// Every port that is listened at on any address.
    pub anywhere: HashMap<u16, u64>,
}

impl Inside {
    /// The listener that a connection to this address waits at.
    pub fn listener(&self, to: SocketAddr) -> Option<u64> {
        self.listening.get(&to).or_else(|| self.anywhere.get(&to.port())).copied()
    }
}

/// Every group that some socket has joined on some interface: /proc/net/igmp and igmp6.
fn machine_groups(pid: i32) -> Vec<Membership> {
    let read = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/net/{file}")).unwrap_or_default();
    parse_groups(&read("igmp"), &read("igmp6"))
}

fn parse_groups(igmp: &str, igmp6: &str) -> Vec<Membership> {
    let mut found = BTreeSet::new();
    let mut interface = 0;
    for line in igmp.lines().skip(1) {
        let first = line.split_whitespace().next().unwrap_or_default();
        if line.starts_with(|c: char| c.is_ascii_digit()) {
            interface = first.parse().unwrap_or(0);
        } else if let Ok(group) = u32::from_str_radix(first, 16) {
            let mut address = [0; 16];
            address[..4].copy_from_slice(&group.to_ne_bytes());
            found.insert((AF_INET, interface, address));
        }
    }
    for line in igmp6.lines() {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let [interface, _, group, ..] = columns[..] else { continue };
        if let (Ok(interface), Ok(group)) = (interface.parse(), u128::from_str_radix(group, 16)) {
            found.insert((AF_INET6, interface, group.to_be_bytes()));
        }
    }
    let group = |address| InetAddress { address: Raw(address), ..InetAddress::default() };
    found.into_iter().map(|(family, interface, a)| Membership { family, interface, group: group(a) }).collect()
}

#[cfg(test)]
mod tests {
    use super::parse_groups;

    #[test]
    fn groups_of_proc() {
        let igmp = "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n1\tlo        :     1      V3\n\
            \t\t\t\t010000E0     1 0:00000000\t\t0\n4\teth0      :     2      V3\n\t\t\t\tFB0000E0     1 0:00000000\t\t0\n\
            \t\t\t\t010000E0     1 0:00000000\t\t0\n";
        let igmp6 = "1    lo              ff020000000000000000000000000001     1 0000000C 0\n2    ifb0\nx y z\n";
        let found: Vec<(u32, u32, [u8; 4])> = parse_groups(igmp, igmp6)
            .iter()
            .map(|m| (m.family, m.interface, m.group.address.0[..4].try_into().unwrap()))
            .collect();
        let want = [(2, 1, [224, 0, 0, 1]), (2, 4, [224, 0, 0, 1]), (2, 4, [224, 0, 0, 251]), (10, 1, [0xff, 2, 0, 0])];
        assert_eq!(found, want);
        assert!(parse_groups("", "").is_empty());
    }
}
