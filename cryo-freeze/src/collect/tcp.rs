//! TCP sockets of `INET`: listeners, connections inside the process, and those that lead outside, by policy.

use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;

use cryo_format::prim::List;
use cryo_format::section::inet::{Inet, InetMessage, State};
use cryo_format::socket::InetAddress;
use cryo_tracee::sockets as kernel;

use super::description::Cx;
use super::inet_socket::section;
use super::socket::{self, Socket, way};
use super::socket_tables::Inside;
use super::tcp_info::{
    CLOSE, CLOSE_WAIT, CLOSING, ESTABLISHED, FIN_WAIT1, FIN_WAIT2, Info, LAST_ACK, LISTEN, OF_CONNECTION,
};
use super::{RefusalKind, refuse, tcp_keep};
use crate::Result;
use crate::options::Tcp;

const SOL_SOCKET: u32 = libc::SOL_SOCKET as u32;
const TCP: u32 = libc::IPPROTO_TCP as u32;
const TCP_ULP: u32 = 31;
/// Looks at every TCP socket of the process.
fn inside(cx: &Cx<'_>) -> Result<Inside> {
    let mut inside = Inside::default();
    for d in cx.all.iter().filter(|d| d.first().meta.file_type().is_socket()) {
        let fd = cx.take(d.first())?;
        let number = |name: i32| kernel::number(&fd, SOL_SOCKET, name as u32);
        let family = number(libc::SO_DOMAIN)?;
        let inet = matches!(family as i32, libc::AF_INET | libc::AF_INET6);
        if !inet || number(libc::SO_TYPE)? as i32 != libc::SOCK_STREAM {
            continue;
        }
        let local = InetAddress::from_sockaddr(&kernel::local(&fd)?).plain(family);
        if number(libc::SO_ACCEPTCONN)? != 0 {
            if local.ip().is_unspecified() {
                inside.anywhere.insert(local.port(), d.id);
            }
            inside.listening.insert(local, d.id);
        } else if let Some(remote) = kernel::remote(&fd)? {
            inside.connected.insert((local, InetAddress::from_sockaddr(&remote).plain(family)), d.id);
        }
    }
    Ok(inside)
}

/// Adds it.
pub fn collect(cx: &mut Cx<'_>, s: &Socket<'_>) -> Result<bool> {
    if cx.sockets.inet.is_none() {
        cx.sockets.inet = Some(inside(cx)?);
    }
    if kernel::option(&s.fd, TCP, TCP_ULP).is_ok_and(|v| v.first().is_some_and(|b| *b != 0)) {
        cx.why = Some("encryption by the kernel (TCP_ULP) is not carried".into());
        return Ok(false);
    }
    let info = Info::of(&s.fd)?;
    match info.state() {
        LISTEN => listener(cx, s, &info),
        CLOSE => closed(cx, s),
        _ => connection(cx, s, &info),
    }
}

fn listener(cx: &mut Cx<'_>, s: &Socket<'_>, info: &Info) -> Result<bool> {
    let mut section = section(cx, s, &[])?;
    let (waiting, backlog) = info.backlog();
    (section.state, section.backlog) = (State::LISTENING, backlog);
    let inside = waiting_inside(cx, s.d.id);
    let outside = waiting.saturating_sub(inside);
    if outside > 0 {
        let at = section.local.plain(s.family);
        if cx.options.tcp != Tcp::Close {
            return refuse(
                RefusalKind::Socket,
                format!(
                    "{}: {outside} connections to {at} from other processes wait to be accepted: use --tcp close to drop them, or {}",
                    s.name(),
                    way(s)
                ),
            );
        }
        cx.out.note(
            s.name(),
            format!("{outside} connections to {at} that waited to be accepted are dropped (--tcp close)"),
        );
    }
    cx.out.add(s.d.id, section);
    Ok(true)
}

/// How many of the process's own connections wait at a listener of its own.
fn waiting_inside(cx: &Cx<'_>, listener: u64) -> u32 {
    let Some(inside) = &cx.sockets.inet else { return 0 };
    let unanswered =
        inside.connected.keys().filter(|(local, remote)| !inside.connected.contains_key(&(*remote, *local)));
    unanswered.filter(|(_, remote)| inside.listener(*remote) == Some(listener)).count() as u32
}

/// One that has not been connected yet, or is no more.
fn closed(cx: &mut Cx<'_>, s: &Socket<'_>) -> Result<bool> {
    let events = kernel::events(&s.fd)?;
    let state = if events & libc::POLLERR != 0 {
        State::RESET
    } else if events & libc::POLLRDHUP != 0 {
        State::OVER
    } else {
        State::FREE
    };
    let mut section = section(cx, s, if state == State::FREE { &[] } else { OF_CONNECTION })?;
    section.state = state;
    if state != State::FREE {
        section.queue = queue(s)?;
    }
    cx.out.add(s.d.id, section);
    Ok(true)
}

fn connection(cx: &mut Cx<'_>, s: &Socket<'_>, info: &Info) -> Result<bool> {
    let local = InetAddress::from_sockaddr(&kernel::local(&s.fd)?).plain(s.family);
    let remote = match kernel::remote(&s.fd)? {
        Some(a) => InetAddress::from_sockaddr(&a).plain(s.family),
        // On its way to somebody (SYN_SENT), whom getpeername(2) does not tell yet.
        None => return outside(cx, s, local, None),
    };
    let inside = cx.sockets.inet.as_ref();
    let peer = inside.and_then(|i| i.connected.get(&(remote, local)).copied());
    let listener = inside.and_then(|i| i.listener(remote));
    let (state, other) = match (peer, listener) {
        (Some(peer), _) if peer == s.d.id => {
            return refuse(
                RefusalKind::Socket,
                format!("{}: it is connected to itself ({local}), which is not carried: {}", s.name(), way(s)),
            );
        }
        (Some(peer), _) => (State::CONNECTED, peer),
        (None, Some(listener)) if waits(cx, local, remote)? => (State::WAITING, listener),
        (None, _) if info.state() == CLOSE_WAIT && !alive(cx, local, remote) => (State::ALONE, 0),
        (None, _) => return outside(cx, s, local, Some(remote)),
    };
    let events = kernel::events(&s.fd)?;
    if events & libc::POLLPRI != 0 {
        return refuse(
            RefusalKind::Busy,
            format!(
                "{}: an urgent byte (MSG_OOB) waits in it, which is not carried: try again when it is read, or {}",
                s.name(),
                way(s)
            ),
        );
    }
    let mut section = section(cx, s, OF_CONNECTION)?;
    (section.state, section.peer) = (state, other);
    // Where the peer has not sent its end, only the program itself can have ended this direction.
    let deaf = u32::from(events & libc::POLLRDHUP != 0);
    section.shutdown = match info.state() {
        ESTABLISHED => deaf,
        CLOSE_WAIT => 0,
        FIN_WAIT1 | FIN_WAIT2 => 2 | deaf,
        LAST_ACK | CLOSING => 2,
        other => {
            return refuse(
                RefusalKind::Busy,
                format!("{}: TCP {local} - {remote} is in the midst of a change (state {other}): try again", s.name()),
            );
        }
    };
    if state == State::WAITING && info.sent() + u64::from(info.not_sent()) > 0 {
        return refuse(
            RefusalKind::Busy,
            format!(
                "{}: it has written into a connection to {remote} that nobody has accepted yet: try again when it is, or {}",
                s.name(),
                way(s)
            ),
        );
    }
    if state == State::CONNECTED {
        arrive(cx, s, other, local, remote)?;
    }
    section.queue = queue(s)?;
    if state != State::WAITING {
        cx.held.abort.push((cx.of(s.d.first()).live_tid, s.d.first().fd));
    }
    cx.out.add(s.d.id, section);
    Ok(true)
}

/// The bytes that wait, as one message.
fn queue(s: &Socket<'_>) -> Result<List<InetMessage>> {
    let data = socket::bytes(s)?;
    let message = InetMessage { data: data.into(), ..InetMessage::default() };
    Ok(if message.data.is_empty() { List::default() } else { vec![message].into() })
}

/// Lets all that the peer has written arrive here: what is still in its send buffer nobody could read without privilege.
///
/// A stream whose reader does not read is stuck as soon as its receive buffer is full. SO_RCVLOWAT makes that buffer larger without a trace
/// that the program could see; looking into the queue then tells the sender so.
fn arrive(cx: &Cx<'_>, s: &Socket<'_>, peer: u64, local: SocketAddr, remote: SocketAddr) -> Result<()> {
    let Some(d) = cx.all.iter().find(|d| d.id == peer) else { return Ok(()) };
    let other = cx.take(d.first())?;
    let missing = || -> Result<u64> {
        let (there, here) = (Info::of(&other)?, Info::of(&s.fd)?);
        Ok((there.sent() + u64::from(there.not_sent())).saturating_sub(here.received()))
    };
    if missing()? == 0 {
        return Ok(());
    }
    let lowat = kernel::option(&s.fd, SOL_SOCKET, libc::SO_RCVLOWAT as u32)?;
    // TCP sockets have it since 6.9.
    let peek_off = s.number(libc::SO_PEEK_OFF).unwrap_or(u32::MAX) as i32;
    let mut tries = 0;
    let left = loop {
        kernel::set_option(&s.fd, SOL_SOCKET, libc::SO_RCVLOWAT as u32, &i32::MAX.to_le_bytes())?;
        if peek_off < 0 {
            kernel::peek(&s.fd, 1)?;
        }
        kernel::set_option(&s.fd, SOL_SOCKET, libc::SO_RCVLOWAT as u32, &lowat)?;
        let left = missing()?;
        tries += 1;
        if left == 0 || tries == 500 {
            break left;
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    };
    if left > 0 {
        return refuse(
            RefusalKind::Busy,
            format!(
                "{}: {left} bytes from {remote} to {local} are still on their way inside the process: try again when they are read, or {}",
                s.name(),
                way(s)
            ),
        );
    }
    Ok(())
}

/// Does a connection of ours wait at a listener of ours? Then the kernel knows its other end, and nobody has it: the inode is 0.
fn waits(cx: &Cx<'_>, local: SocketAddr, remote: SocketAddr) -> Result<bool> {
    Ok(other_end(cx, local, remote).is_some_and(|ino| ino == 0))
}

/// Is the other end of a connection somebody's, as far as this machine can know?
fn alive(cx: &Cx<'_>, local: SocketAddr, remote: SocketAddr) -> bool {
    let here = remote.ip().is_loopback() || remote.ip() == local.ip();
    !here || other_end(cx, local, remote).is_some_and(|ino| ino != 0)
}

/// The inode of the other end of a connection within this machine (/proc/PID/net/tcp: columns 2 and 3 are the addresses, 10 is the inode).
fn other_end(cx: &Cx<'_>, local: SocketAddr, remote: SocketAddr) -> Option<u64> {
    let mut found = None;
    for (file, width) in [("tcp", 8), ("tcp6", 32)] {
        let text = std::fs::read_to_string(format!("/proc/{}/net/{file}", cx.scenes[0].live_tid)).unwrap_or_default();
        found = found.or_else(|| {
            text.lines().skip(1).find_map(|line| {
                let columns: Vec<&str> = line.split_whitespace().collect();
                let same = address(columns.get(1)?, width)? == remote && address(columns.get(2)?, width)? == local;
                same.then(|| columns.get(9)?.parse().ok()).flatten()
            })
        });
    }
    found
}

/// `0100007F:1F90`: words in this machine's order.
fn address(text: &str, width: usize) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let words = ip.as_bytes().chunks(8).map(|w| u32::from_str_radix(std::str::from_utf8(w).ok()?, 16).ok());
    let bytes: Vec<u8> = words.collect::<Option<Vec<u32>>>()?.into_iter().flat_map(u32::to_ne_bytes).collect();
    let ip: std::net::IpAddr = if width == 8 {
        <[u8; 4]>::try_from(bytes).ok()?.into()
    } else {
        std::net::IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?).to_canonical()
    };
    Some(SocketAddr::new(ip, port))
}

/// A connection to another process.
fn outside(cx: &mut Cx<'_>, s: &Socket<'_>, local: SocketAddr, remote: Option<SocketAddr>) -> Result<bool> {
    let what =
        remote.map_or(format!("TCP {local}, being connected"), |r| format!("TCP {local} - {r}, to another process"));
    match cx.options.tcp {
        Tcp::Close if !s.standard() => {
            let mut section: Inet = section(cx, s, OF_CONNECTION)?;
            section.state = State::RESET;
            section.queue = queue(s)?;
            cx.held.abort.push((cx.of(s.d.first()).live_tid, s.d.first().fd));
            cx.out.note(s.name(), format!("{what}: the program finds it reset (--tcp close)"));
            cx.out.add(s.d.id, section);
            Ok(true)
        }
        Tcp::Keep if !s.standard() => tcp_keep::collect(cx, s, &what),
        _ => {
            cx.why = Some(format!("{what}; --tcp close lets the program find it reset"));
            Ok(false)
        }
    }
}

/// Connections end by a reset, and so leave their addresses free: what comes back needs them at once.
/// (SO_LINGER of 0; the process is about to be killed.)
pub fn abort(pid: i32, fds: impl Iterator<Item = i32>) -> Result<()> {
    let pidfd = cryo_tracee::fds::pidfd(pid)?;
    for fd in fds {
        let taken = cryo_tracee::fds::take(&pidfd, fd)?;
        let linger = [1_i32.to_le_bytes(), 0_i32.to_le_bytes()].concat();
        kernel::set_option(&taken, SOL_SOCKET, libc::SO_LINGER as u32, &linger)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn addresses_of_proc() {
        assert_eq!(super::address("0100007F:1F90", 8), "127.0.0.1:8080".parse().ok());
        assert_eq!(super::address("00000000000000000000000001000000:0050", 32), "[::1]:80".parse().ok());
        assert_eq!(super::address("0000000000000000FFFF00000100007F:0050", 32), "127.0.0.1:80".parse().ok());
        assert_eq!(super::address("x", 8), None);
    }
}
