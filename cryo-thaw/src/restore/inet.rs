//! `INET`: sockets of UDP and TCP. The first that is asked for brings all: ports are shared, and connections have two ends. TCP is in
//! `tcp`.

use cryo_format::section::inet::{Inet, State};
use cryo_format::socket::InetAddress;
use cryo_tracee::{Host, sockets as socket};

use super::inet_socket::{All, Made, bind, make, recorded};
use super::table::Table;
use super::{sockets, tcp, tcp_keep};
use crate::Result;
use crate::error::{RefusalKind, reason, refuse};
use crate::notes::Notes;
use crate::options::Tcp;

const AF_INET: u32 = libc::AF_INET as u32;
const SOL_SOCKET: u32 = libc::SOL_SOCKET as u32;
const REUSEADDR: u32 = libc::SO_REUSEADDR as u32;
const REUSEPORT: u32 = libc::SO_REUSEPORT as u32;
const MCAST_JOIN_GROUP: u32 = 42;
const ON: [u8; 4] = 1_i32.to_le_bytes();

/// Makes all of them, but for what [`late`] does.
pub fn restore(host: &mut Host, table: &mut Table<'_>, _fd: u32, id: u64) -> Result<Option<u64>> {
    if table.section::<Inet>(id).is_none() {
        return Ok(None);
    }
    // What the person replaced is not there.
    let all: Vec<(u64, &Inet)> =
        table.all::<Inet>().into_iter().filter(|(id, _)| table.number(*id).is_some()).collect();
    let mut made = All::new();
    let (streams, datagrams): (Vec<_>, Vec<_>) = all.into_iter().partition(|(_, s)| s.kind == libc::SOCK_STREAM as u32);
    for (id, s) in &datagrams {
        let m = make(host, table, *id, s)?;
        // They may have switched off by now what let them share it.
        let shares = |o: &Inet| (o.protocol, o.local.port) == (s.protocol, s.local.port);
        let shared = s.local.port != 0 && datagrams.iter().filter(|(_, o)| shares(o)).count() > 1;
        bind(&m, shared)?;
        join(&m)?;
        made.insert(*id, m);
    }
    for (id, s) in &datagrams {
        deliver(&table.options.notes, &made, &made[id])?;
        if s.remote.port != 0
            && let Err(e) = socket::connect(&made[id].ours, &s.remote.sockaddr(s.family))
        {
            return refuse(
                RefusalKind::Socket,
                format!(
                    "fd {}: connecting it to {}: {e}: use --fd {0}=null|FILE",
                    made[id].fd,
                    s.remote.plain(s.family),
                    e = reason(&e)
                ),
            );
        }
    }
    tcp::all(host, table, &streams, &mut made)?;
    let Some(own) = made.get(&id).map(|m| m.at) else {
        return refuse(RefusalKind::Socket, format!("description {id}: an internet socket that cannot be made"));
    };
    for (id, m) in made {
        let s = m.section;
        if s.kind == libc::SOCK_DGRAM as u32 && s.shutdown != 0 {
            shut(&m)?;
        }
        if s.state == State::KEPT && table.options.tcp == Tcp::Keep {
            // Not before it is connected.
            table.made(host, id, m.at)?;
            continue;
        }
        sockets::late(&table.options.notes, &m.ours, m.fd, &s.options, &s.filter, s.open_flags)?;
        let reuse = recorded(s, REUSEADDR).unwrap_or(&[0; 4]);
        socket::set_option(&m.ours, SOL_SOCKET, REUSEADDR, reuse)?;
        table.made(host, id, m.at)?;
    }
    Ok(Some(own))
}

/// shutdown(2) of a socket of datagrams, when its queue is full. One that is not connected says ENOTCONN and is shut down all the same.
pub fn shut(m: &Made<'_>) -> Result<()> {
    // 1: receives no more; 2: sends no more; 3: both. shutdown(2) counts from 0.
    match socket::shutdown(&m.ours, (m.section.shutdown & 3).saturating_sub(1)) {
        Err(e) if e.errno() != Some(libc::ENOTCONN) => Err(e.into()),
        _ => Ok(()),
    }
}

/// Brings the connections to the outside to life that go on.
pub fn late(host: &mut Host, table: &Table<'_>) -> Result<()> {
    tcp_keep::late(host, table)
}

/// Multicast groups.
pub fn join(m: &Made<'_>) -> Result<()> {
    for g in &m.section.groups {
        let level = if g.family == AF_INET { libc::IPPROTO_IP } else { libc::IPPROTO_IPV6 };
        // struct group_req
        let mut request = g.interface.to_le_bytes().to_vec();
        request.resize(8, 0);
        request.extend(g.group.sockaddr(g.family));
        request.resize(136, 0);
        if let Err(e) = socket::set_option(&m.ours, level as u32, MCAST_JOIN_GROUP, &request) {
            let group = g.group.plain(g.family).ip();
            return refuse(
                RefusalKind::Socket,
                format!(
                    "fd {}: joining multicast group {group} on interface {}: {e}: use --fd {0}=null|FILE",
                    m.fd,
                    g.interface,
                    e = reason(&e)
                ),
            );
        }
    }
    Ok(())
}

/// Sends each waiting datagram again, from its sender's address. UDP may lose what cannot be: that is said.
fn deliver(notes: &Notes, all: &All<'_>, m: &Made<'_>) -> Result<()> {
    let s = m.section;
    let mut lost = Vec::new();
    for message in &s.queue {
        let from = message.sender.plain(s.family);
        let mut to = s.local;
        if to.plain(s.family).ip().is_unspecified() {
            to.address = message.sender.address;
            to.scope = message.sender.scope;
        }
        let inside = all.values().find(|o| o.section.kind == s.kind && o.section.local.plain(o.section.family) == from);
        let sent = match inside.filter(|o| o.section.family == s.family) {
            Some(o) => socket::send(&o.ours, &message.data, &to.sockaddr(s.family)),
            None => send_as(s, &message.sender, &message.data, &to),
        };
        if sent.is_err() {
            lost.push(from.to_string());
        }
    }
    if !lost.is_empty() {
        lost.dedup();
        notes.add(format!(
            "fd {}: {} datagrams that waited could not be delivered again: they were from {}",
            m.fd,
            lost.len(),
            lost.join(", ")
        ));
    }
    Ok(())
}

fn send_as(s: &Inet, from: &InetAddress, data: &[u8], to: &InetAddress) -> cryo_tracee::Result<usize> {
    let sender = socket::socket(s.family, s.kind, s.protocol)?;
    socket::set_option(&sender, SOL_SOCKET, REUSEADDR, &ON)?;
    socket::set_option(&sender, SOL_SOCKET, REUSEPORT, &ON)?;
    socket::bind(&sender, &from.sockaddr(s.family))?;
    socket::send(&sender, data, &to.sockaddr(s.family))
}
