//! TCP sockets of `INET`. A connection inside is made anew between the same addresses, through a listener of ours at the accepted end's; the
//! program's own listeners come when all connections on their ports are there.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use cryo_format::prim::Raw;
use cryo_format::section::inet::{Inet, State};
use cryo_format::socket::InetAddress;
use cryo_tracee::{Host, sockets as socket};

use super::inet_socket::{All, Made, adopt, bind, make, recorded, unavailable};
use super::table::Table;
use super::{sockets, tcp_keep};
use crate::Result;
use crate::error::{RefusalKind, reason, refuse};
use crate::options::Tcp;

const AF_INET: u32 = libc::AF_INET as u32;
const SOL_SOCKET: u32 = libc::SOL_SOCKET as u32;
const REUSEPORT: u32 = libc::SO_REUSEPORT as u32;
const SNDTIMEO: u32 = libc::SO_SNDTIMEO as u32;
const RCVLOWAT: u32 = libc::SO_RCVLOWAT as u32;
/// How long a connection within this machine may take, and a former one of the same addresses to be forgotten.
const LIMIT: Duration = Duration::from_secs(5);

/// Listeners of ours in the host, by family and address.
type Gates = HashMap<(u32, InetAddress), u64>;

/// Makes them.
pub fn all<'a>(host: &mut Host, table: &mut Table<'_>, all: &[(u64, &'a Inet)], made: &mut All<'a>) -> Result<()> {
    let by_id: HashMap<u64, &Inet> = all.iter().copied().collect();
    let mut gates = Gates::new();
    for &(id, s) in all.iter().filter(|(_, s)| s.state == State::CONNECTED) {
        match by_id.get(&s.peer).copied() {
            // What the person replaced is, for its other end, a connection that was reset.
            None if table.section::<Inet>(s.peer).is_some() => reset(host, table, id, s, made)?,
            Some(o) if o.peer == id && o.state == State::CONNECTED && id != s.peer => {
                if id < s.peer {
                    connection(host, table, &mut gates, [(id, s), (s.peer, o)], all, made)?;
                }
            }
            _ => return no_end(table, id),
        }
    }
    for gate in gates.into_values() {
        sockets::close(host, gate)?;
    }
    for &(id, s) in all {
        match s.state {
            State::FREE => {
                let m = make(host, table, id, s)?;
                bind(&m, true)?;
                made.insert(id, m);
            }
            State::KEPT if table.options.tcp == Tcp::Keep => {
                made.insert(id, tcp_keep::begin(host, table, id, s)?);
            }
            State::KEPT | State::RESET => reset(host, table, id, s, made)?,
            State::OVER | State::ALONE => left(host, table, id, s, made)?,
            _ => {}
        }
    }
    let listening = || all.iter().filter(|(_, s)| s.state == State::LISTENING);
    // Several listen on one port by SO_REUSEPORT, or by SO_BINDTODEVICE, and may have switched it off by now.
    let shares = |s: &Inet| listening().filter(|(_, o)| o.local.port == s.local.port).count() > 1;
    for &(id, s) in listening() {
        let m = make(host, table, id, s)?;
        if shares(s) {
            socket::set_option(&m.ours, SOL_SOCKET, REUSEPORT, &1_i32.to_le_bytes())?;
        }
        bind(&m, true)?;
        if let Err(e) = socket::listen(&m.ours, s.backlog) {
            return refuse(
                RefusalKind::Socket,
                format!("fd {}: {}", m.fd, unavailable(m.fd, s.local.plain(s.family), &e)),
            );
        }
        made.insert(id, m);
    }
    for &(id, s) in listening().filter(|(_, s)| shares(s)) {
        let port = recorded(s, REUSEPORT).unwrap_or(&[0; 4]);
        socket::set_option(&made[&id].ours, SOL_SOCKET, REUSEPORT, port)?;
    }
    for &(id, s) in all.iter().filter(|(_, s)| s.state == State::WAITING) {
        if by_id.get(&s.peer).is_none_or(|l| l.state != State::LISTENING) {
            return no_end(table, id);
        }
        let m = make(host, table, id, s)?;
        bind(&m, true)?;
        connect(&m, &s.remote)?;
        shut(&m)?;
        made.insert(id, m);
    }
    Ok(())
}

fn no_end<T>(table: &Table<'_>, id: u64) -> Result<T> {
    let fd = table.number(id).unwrap_or_default();
    refuse(
        RefusalKind::Socket,
        format!("fd {fd}: the other end of this connection is not in the image: use --fd {fd}=null|FILE"),
    )
}

/// Both ends of a connection, with what waits in them.
fn connection<'a>(
    host: &mut Host,
    table: &mut Table<'_>,
    gates: &mut Gates,
    mut ends: [(u64, &'a Inet); 2],
    all: &[(u64, &Inet)],
    made: &mut All<'a>,
) -> Result<()> {
    // The accepted end shares its port, with its listener or with others that were accepted.
    let shares = |s: &Inet| all.iter().filter(|(_, o)| o.local.port == s.local.port).count();
    if shares(ends[0].1) > shares(ends[1].1) {
        ends.swap(0, 1);
    }
    let [(client_id, client), (server_id, server)] = ends;
    let number = table.number(server_id).unwrap_or_default();
    let gate = match gates.get(&(server.family, server.local)) {
        Some(gate) => *gate,
        None => {
            let gate = sockets::make(host, server.family, server.kind, server.protocol)?;
            let m = adopt(host, table, server_id, server, gate)?;
            bind(&m, true)?;
            if let Err(e) = socket::listen(&m.ours, 16) {
                return refuse(
                    RefusalKind::Socket,
                    format!("fd {number}: {}", unavailable(number, server.local.plain(server.family), &e)),
                );
            }
            gates.insert((server.family, server.local), m.at);
            m.at
        }
    };
    let a = make(host, table, client_id, client)?;
    call(&a, &client.remote)?;
    // Whoever else calls meanwhile is turned away, as by a port where nobody listens.
    let caller = client.local.plain(client.family);
    let b = loop {
        let accepted = sockets::accept(host, gate)?;
        let b = adopt(host, table, server_id, server, accepted)?;
        let who = socket::remote(&b.ours)?.unwrap_or_default();
        if who == server.remote.sockaddr(server.family) {
            break b;
        }
        if who.len() < 8 {
            return refuse(
                RefusalKind::Socket,
                format!("fd {number}: the connection from {caller} did not come about"),
            );
        }
        sockets::close(host, b.at)?;
    };
    for (from, to) in [(&a, &b), (&b, &a)] {
        for m in &to.section.queue {
            flow(&from.ours, &to.ours, &m.data)?;
        }
    }
    shut(&a)?;
    shut(&b)?;
    made.insert(client_id, a);
    made.insert(server_id, b);
    Ok(())
}

/// Connects from the port that it had. connect(2) gives one port to callers of several addresses, and bind(2) gives it to nobody as long as one
/// of them is there, or has ended within the last minute: then connect(2) chooses again, from a range of one (ip(7), Linux 6.3).
fn call(m: &Made<'_>, to: &InetAddress) -> Result<()> {
    const IP: u32 = libc::IPPROTO_IP as u32;
    const IP_BIND_ADDRESS_NO_PORT: u32 = libc::IP_BIND_ADDRESS_NO_PORT as u32;
    const IP_LOCAL_PORT_RANGE: u32 = 51;
    let Err(taken) = bind(m, true) else { return connect(m, to) };
    let local = m.section.local;
    let only = local.port | local.port << 16;
    let chosen = socket::set_option(&m.ours, IP, IP_LOCAL_PORT_RANGE, &only.to_le_bytes())
        .and_then(|()| socket::set_option(&m.ours, IP, IP_BIND_ADDRESS_NO_PORT, &1_u32.to_le_bytes()))
        .and_then(|()| socket::bind(&m.ours, &InetAddress { port: 0, ..local }.sockaddr(m.section.family)));
    if chosen.is_err() {
        return Err(taken);
    }
    connect(m, to)?;
    // A port outside of ip_local_port_range cannot be had so.
    if InetAddress::from_sockaddr(&socket::local(&m.ours)?).port != local.port {
        return Err(taken);
    }
    for option in [IP_LOCAL_PORT_RANGE, IP_BIND_ADDRESS_NO_PORT] {
        let its = m.section.options.iter().find(|o| (o.level, o.name) == (IP, option));
        socket::set_option(&m.ours, IP, option, its.map_or(&[0; 4], |o| o.value.as_slice()))?;
    }
    Ok(())
}

/// connect(2) within this machine, with a limit. A connection of the same addresses that has just ended is in the way for a second.
fn connect(m: &Made<'_>, to: &InetAddress) -> Result<()> {
    let limit = [LIMIT.as_secs().to_le_bytes(), [0; 8]].concat();
    socket::set_option(&m.ours, SOL_SOCKET, SNDTIMEO, &limit)?;
    let flags = rustix::fs::OFlags::empty();
    rustix::fs::fcntl_setfl(&m.ours, flags).map_err(|e| cryo_tracee::Error::sys("fcntl", e))?;
    let address = to.sockaddr(m.section.family);
    let end = Instant::now() + LIMIT;
    let result = loop {
        match socket::connect(&m.ours, &address) {
            Err(e) if e.errno() == Some(libc::EADDRNOTAVAIL) && Instant::now() < end => {
                std::thread::sleep(Duration::from_millis(50));
            }
            other => break other,
        }
    };
    let usual = recorded(m.section, SNDTIMEO).unwrap_or(&[0; 16]);
    socket::set_option(&m.ours, SOL_SOCKET, SNDTIMEO, usual)?;
    rustix::fs::fcntl_setfl(&m.ours, rustix::fs::OFlags::NONBLOCK).map_err(|e| cryo_tracee::Error::sys("fcntl", e))?;
    match result {
        Ok(()) => Ok(()),
        Err(e) => refuse(
            RefusalKind::Socket,
            format!(
                "fd {}: connecting {} to {}: {e}: use --fd {0}=null|FILE",
                m.fd,
                m.section.local.plain(m.section.family),
                to.plain(m.section.family),
                e = reason(&e)
            ),
        ),
    }
}

/// Lets `data` go from one end to the other. The receive buffer grows as it must (SO_RCVLOWAT), and looking into the queue tells the sender.
fn flow(from: &OwnedFd, to: &OwnedFd, data: &[u8]) -> Result<()> {
    let lowat = socket::option(to, SOL_SOCKET, RCVLOWAT)?;
    let end = Instant::now() + LIMIT;
    let mut rest = data;
    while socket::waiting(to)? < data.len() {
        match socket::send(from, rest, &[]) {
            Ok(n) => rest = &rest[n..],
            Err(e) if e.errno() == Some(libc::EAGAIN) => {}
            Err(e) => return Err(e.into()),
        }
        if socket::waiting(to)? == data.len() {
            break;
        }
        socket::set_option(to, SOL_SOCKET, RCVLOWAT, &i32::MAX.to_le_bytes())?;
        socket::peek(to, 1)?;
        socket::set_option(to, SOL_SOCKET, RCVLOWAT, &lowat)?;
        if Instant::now() > end {
            return refuse(
                RefusalKind::Socket,
                format!("{} bytes that waited in a connection do not fit into it here", data.len()),
            );
        }
        if rest.is_empty() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    Ok(())
}

/// shutdown(2) as the program did it.
fn shut(m: &Made<'_>) -> Result<()> {
    if m.section.shutdown != 0 {
        // SHUT_RD 0, SHUT_WR 1, SHUT_RDWR 2: one less than the bits.
        socket::shutdown(&m.ours, m.section.shutdown - 1)?;
    }
    Ok(())
}

/// One whose connection was reset: ECONNRESET, behind what had arrived.
fn reset<'a>(host: &mut Host, table: &mut Table<'_>, id: u64, s: &'a Inet, made: &mut All<'a>) -> Result<()> {
    let (m, other) = with_partner(host, table, id, s)?;
    let linger = [1_i32.to_le_bytes(), 0_i32.to_le_bytes()].concat();
    socket::set_option(&other, SOL_SOCKET, libc::SO_LINGER as u32, &linger)?;
    drop(other);
    made.insert(id, m);
    Ok(())
}

/// One whose other end was closed, and that may be over by that.
fn left<'a>(host: &mut Host, table: &mut Table<'_>, id: u64, s: &'a Inet, made: &mut All<'a>) -> Result<()> {
    let (m, other) = with_partner(host, table, id, s)?;
    drop(other);
    if s.state == State::OVER {
        socket::shutdown(&m.ours, 1)?;
    }
    made.insert(id, m);
    Ok(())
}

/// A connection to a partner of ours, with what waits in it. Where it can be it has its own address.
fn with_partner<'a>(host: &mut Host, table: &mut Table<'_>, id: u64, s: &'a Inet) -> Result<(Made<'a>, OwnedFd)> {
    let gate = socket::socket(s.family, s.kind, libc::IPPROTO_TCP as u32)?;
    socket::set_option(&gate, SOL_SOCKET, libc::SO_REUSEADDR as u32, &1_i32.to_le_bytes())?;
    let known =
        s.remote.port != 0 && s.state == State::ALONE && socket::bind(&gate, &s.remote.sockaddr(s.family)).is_ok();
    if !known {
        socket::bind(&gate, &loopback(s).sockaddr(s.family))?;
    }
    socket::listen(&gate, 1)?;
    let to = InetAddress::from_sockaddr(&socket::local(&gate)?);
    let m = make(host, table, id, s)?;
    let m = match bind(&m, true).and_then(|()| connect(&m, &to)) {
        Ok(()) => m,
        // Its address is not here, or another's: where the connection is gone anyway any other will do.
        Err(_) => {
            sockets::close(host, m.at)?;
            let m = make(host, table, id, s)?;
            connect(&m, &to)?;
            m
        }
    };
    let partner = socket::accept(&gate)?;
    for message in &s.queue {
        flow(&partner, &m.ours, &message.data)?;
    }
    Ok((m, partner))
}

/// The loopback address that a socket can reach, without a port.
fn loopback(s: &Inet) -> InetAddress {
    let mut address = [0; 16];
    if s.family == AF_INET {
        address[..4].copy_from_slice(&[127, 0, 0, 1]);
    } else if s.local.plain(s.family).is_ipv4() {
        address[10..].copy_from_slice(&[0xff, 0xff, 127, 0, 0, 1]);
    } else {
        address[15] = 1;
    }
    InetAddress { address: Raw(address), ..InetAddress::default() }
}
