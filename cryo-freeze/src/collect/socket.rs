//! What the collectors of sockets ([`unix`](super::unix), [`inet`](super::inet), [`netlink`](super::netlink)) share: options, filters, queues.

use std::collections::hash_map::Entry;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;

use cryo_format::prim::{Addr, Blob, List};
use cryo_format::socket::{OPTIONS, SocketOption};
use cryo_tracee::sockets;

use super::description::{Cx, Description};
use super::{RefusalKind, refuse};
use crate::Result;
use crate::error::About;

const SOL_SOCKET: u32 = libc::SOL_SOCKET as u32;
const SO_BUF_LOCK: u32 = 72;
const SOL_RAW: i32 = 255;
/// Longest message that is carried.
const LONGEST: usize = 4 << 20;

/// A socket under a descriptor.
pub struct Socket<'c> {
    /// Its description.
    pub d: &'c Description<'c>,
    /// Our duplicate.
    pub fd: OwnedFd,
    /// AF_UNIX and so on.
    pub family: u32,
    /// SOCK_STREAM and so on.
    pub kind: u32,
    /// IPPROTO_TCP and so on.
    pub protocol: u32,
}

impl Socket<'_> {
    /// An option of SOL_SOCKET that is a number.
    pub fn number(&self, name: i32) -> Result<u32> {
        Ok(sockets::number(&self.fd, SOL_SOCKET, name as u32)?)
    }

    /// open(2) flags.
    pub fn open_flags(&self) -> Addr {
        Addr(self.d.first().info.flags() & !(libc::O_CLOEXEC as u64))
    }

    /// `fd 7 (socket:[123])`.
    pub fn name(&self) -> String {
        self.d.first().name()
    }

    /// Its inode.
    pub fn ino(&self) -> u64 {
        self.d.first().meta.ino()
    }

    /// Do its descriptors lead outside by their nature (stdin, stdout, stderr)?
    pub fn standard(&self) -> bool {
        self.d.first().fd <= 2
    }
}

/// Refuses a socket that takes rights to make, which we lack: only beside a fresh one can its options be told.
pub fn may_make(s: &Socket<'_>) -> Result<()> {
    match sockets::socket(s.family, s.kind, s.protocol) {
        Err(e) if e.errno() == Some(libc::EPERM) => refuse(
            RefusalKind::Permission,
            format!(
                "{}: raw and packet sockets take root (CAP_NET_RAW): freeze and thaw it as root, or {}",
                s.name(),
                way(s)
            ),
        ),
        made => Ok(made.map(drop)?),
    }
}

/// What a list of sockets below /proc/PID/net says of one that is in it. It is looked at more than once before it counts as missing: between two read(2) the
/// kernel knows its place in the list by a number only, and passes one over where others' are closed meanwhile.
pub fn in_list<T>(path: &str, find: impl Fn(&str) -> Option<T>) -> Result<Option<T>> {
    for _ in 0..20 {
        let text = std::fs::read_to_string(path).about(|| format!("reading {path}"))?;
        if let Some(found) = find(&text) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Notes packets that wait, and an error in front of them. They cannot be put back into one socket alone.
pub fn packets_wait(cx: &mut Cx<'_>, s: &Socket<'_>, events: i16) {
    if events & libc::POLLIN != 0 {
        cx.out.note(s.name(), "packets that wait in it are not in the image");
    }
    if events & libc::POLLERR != 0 {
        cx.out.note(s.name(), "an error waits in it, which the thawed program does not see");
    }
}

/// TCP_MAXSEG, and the sizes that can be set (TCP_MIN_MSS and MAX_TCP_WINDOW in include/net/tcp.h).
const MAXSEG: (u32, u32) = (libc::IPPROTO_TCP as u32, libc::TCP_MAXSEG as u32);
const SEGMENT: std::ops::RangeInclusive<u32> = 88..=32767;

fn number(value: &[u8]) -> u32 {
    value.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

/// Options that are not as a fresh socket has them, but for those in `except`.
pub fn options(cx: &mut Cx<'_>, s: &Socket<'_>, except: &[(u32, u32)]) -> Result<List<SocketOption>> {
    let key = (s.family, s.kind, s.protocol);
    let fresh = match cx.sockets.fresh.entry(key) {
        Entry::Occupied(known) => known.into_mut(),
        Entry::Vacant(unknown) => {
            let fresh = sockets::socket(s.family, s.kind, s.protocol)?;
            let all = levels(s).chain(not_carried(s).map(|o| (o.0, o.1)));
            let values = all.filter_map(|o| Some((o, sockets::option(&fresh, o.0, o.1).ok()?)));
            unknown.insert(values.collect())
        }
    };
    // Buffers grow and shrink by themselves until the program sets them.
    let locked = sockets::number(&s.fd, SOL_SOCKET, SO_BUF_LOCK).unwrap_or(3);
    let skip = |o: &(u32, u32)| match *o {
        (SOL_SOCKET, name) if name == libc::SO_SNDBUF as u32 => locked & 1 == 0,
        (SOL_SOCKET, name) if name == libc::SO_RCVBUF as u32 => locked & 2 == 0,
        other => except.contains(&other),
    };
    let mut changed = Vec::new();
    for o in levels(s).filter(|o| !skip(o)) {
        let Some(usual) = fresh.get(&o) else { continue };
        let value = match sockets::option(&s.fd, o.0, o.1) {
            Err(e) if e.errno() == Some(libc::ENODEV) => {
                return refuse(
                    RefusalKind::Socket,
                    format!("{} is bound to a network device that is not there any more: {}", s.name(), way(s)),
                );
            }
            value => value?,
        };
        // With IP_OPTIONS the kernel makes it less than it takes.
        if o == MAXSEG && !SEGMENT.contains(&number(&value)) {
            continue;
        }
        if value != *usual {
            changed.push(SocketOption { level: o.0, name: o.1, value: value.into() });
        }
    }
    for (level, name, what) in not_carried(s) {
        let Some(usual) = fresh.get(&(level, name)) else { continue };
        if sockets::option(&s.fd, level, name).is_ok_and(|value| value != *usual) {
            cx.out.note(s.name(), format!("its option {what} is not carried"));
        }
    }
    Ok(changed.into())
}

/// Options that are seen, and that the format has no place for: level, number, name.
#[rustfmt::skip]
const NOT_CARRIED: [(i32, u32, &str); 17] = [
    (libc::SOL_SOCKET, 1, "SO_DEBUG"), (libc::SOL_SOCKET, 65, "SO_TIMESTAMPING_NEW"), (libc::SOL_SOCKET, 74, "SO_TXREHASH"),
    (libc::IPPROTO_TCP, 44, "TCP_RTO_MAX_MS"), (libc::IPPROTO_TCP, 45, "TCP_RTO_MIN_US"), (libc::IPPROTO_TCP, 46, "TCP_DELACK_MAX_US"),
    (libc::IPPROTO_IPV6, 2, "IPV6_2292PKTINFO"), (libc::IPPROTO_IPV6, 3, "IPV6_2292HOPOPTS"), (libc::IPPROTO_IPV6, 4, "IPV6_2292DSTOPTS"),
    (libc::IPPROTO_IPV6, 5, "IPV6_2292RTHDR"), (libc::IPPROTO_IPV6, 8, "IPV6_2292HOPLIMIT"), (libc::IPPROTO_IPV6, 11, "IPV6_FLOWINFO"),
    (libc::IPPROTO_IPV6, 30, "IPV6_ROUTER_ALERT_ISOLATE"), (libc::IPPROTO_IPV6, 31, "IPV6_RECVERR_RFC4884"),
    (libc::IPPROTO_IPV6, 54, "IPV6_HOPOPTS"), (libc::IPPROTO_IPV6, 55, "IPV6_RTHDRDSTOPTS"), (libc::IPPROTO_IPV6, 59, "IPV6_DSTOPTS"),
];

/// Those that a socket of its kind may have.
fn not_carried(s: &Socket<'_>) -> impl Iterator<Item = (u32, u32, &'static str)> + use<> {
    let (family, kind) = (s.family as i32, s.kind as i32);
    let inet = matches!(family, libc::AF_INET | libc::AF_INET6);
    let may = move |level: i32| match level {
        libc::IPPROTO_TCP => inet && kind == libc::SOCK_STREAM,
        libc::IPPROTO_IPV6 => family == libc::AF_INET6,
        _ => inet,
    };
    NOT_CARRIED.into_iter().filter(move |o| may(o.0)).map(|o| (o.0 as u32, o.1, o.2))
}

/// The options that a socket of its kind may have.
fn levels(s: &Socket<'_>) -> impl Iterator<Item = (u32, u32)> + use<> {
    let (family, kind) = (s.family as i32, s.kind as i32);
    let inet = matches!(family, libc::AF_INET | libc::AF_INET6);
    // Streams have values for multicast, which mean nothing and differ.
    let stream = kind == libc::SOCK_STREAM;
    let multicast = move |name: u32| stream && matches!(name, 32..=34 | 49);
    let multicast_v6 = move |name: u32| stream && matches!(name, 17..=19 | 29);
    OPTIONS.iter().map(|o| (o.0, o.1)).filter(move |(level, name)| match *level as i32 {
        libc::SOL_SOCKET => true,
        libc::IPPROTO_IP if matches!(name, 3 | 5 | 22) => family == libc::AF_INET && kind == libc::SOCK_RAW,
        libc::IPPROTO_IP => inet && !multicast(*name),
        libc::IPPROTO_IPV6 if matches!(name, 7 | 36) => family == libc::AF_INET6 && kind == libc::SOCK_RAW,
        libc::IPPROTO_IPV6 => family == libc::AF_INET6 && !multicast_v6(*name),
        SOL_RAW => family == libc::AF_INET && kind == libc::SOCK_RAW,
        libc::IPPROTO_ICMPV6 => family == libc::AF_INET6 && kind == libc::SOCK_RAW,
        libc::SOL_PACKET => family == libc::AF_PACKET,
        libc::IPPROTO_TCP => inet && kind == libc::SOCK_STREAM,
        libc::IPPROTO_UDP => inet && kind == libc::SOCK_DGRAM,
        libc::SOL_NETLINK => family == libc::AF_NETLINK,
        _ => false,
    })
}

/// The classic BPF program attached to it.
pub fn filter(s: &Socket<'_>) -> Result<Blob> {
    match sockets::filter(&s.fd) {
        Ok(filter) => Ok(filter.into()),
        Err(e) if e.errno() == Some(libc::EACCES) => refuse(
            RefusalKind::Socket,
            format!("{} has an eBPF program attached, which is not carried: {}", s.name(), way(s)),
        ),
        Err(e) => Err(e.into()),
    }
}

/// What waits in a unix socket: the pieces of a stream, or messages.
pub fn waiting(s: &Socket<'_>) -> Result<Vec<sockets::Peeked>> {
    if s.kind as i32 == libc::SOCK_STREAM { pieces(s) } else { messages(s) }
}

/// Messages that wait, each with its sender's address. They stay where they are.
pub fn messages(s: &Socket<'_>) -> Result<Vec<sockets::Peeked>> {
    let mut all = Vec::new();
    let events = sockets::events(&s.fd)?;
    if events & libc::POLLIN == 0 {
        return Ok(all);
    }
    let waiting = sockets::waiting(&s.fd)?;
    if events & libc::POLLERR != 0 {
        // The kernel hands out the error before any message, and only once: it is the program's.
        return if waiting == 0 {
            Ok(all)
        } else {
            refuse(
                RefusalKind::Busy,
                format!("{}: an error waits in front of its messages: try again, or {}", s.name(), way(s)),
            )
        };
    }
    // At the end of a stream of packets the kernel gives empty ones without end: there the bytes are counted.
    let ended = s.kind as i32 == libc::SOCK_SEQPACKET && events & libc::POLLRDHUP != 0;
    let mut left = waiting;
    let _guard = sockets::PeekFrom::start(&s.fd)?;
    while !(ended && left == 0) {
        let Some(message) = sockets::peek(&s.fd, LONGEST)? else { break };
        complete(s, &message)?;
        if message.truncated {
            return refuse(
                RefusalKind::Socket,
                format!("{}: a message of more than {LONGEST} bytes waits in it: {}", s.name(), way(s)),
            );
        }
        left = left.saturating_sub(message.data.len());
        all.push(message);
    }
    Ok(all)
}

/// The bytes that wait in a stream. They stay where they are.
pub fn bytes(s: &Socket<'_>) -> Result<Vec<u8>> {
    let waiting = sockets::waiting(&s.fd)?;
    if waiting == 0 {
        return Ok(Vec::new());
    }
    let peek_off = s.number(libc::SO_PEEK_OFF).unwrap_or(u32::MAX) as i32;
    let _guard = if peek_off >= 0 { Some(sockets::PeekFrom::start(&s.fd)?) } else { None };
    let seen = sockets::peek(&s.fd, waiting)?.unwrap_or_default();
    all_seen(s, waiting, waiting.saturating_sub(seen.data.len()))?;
    Ok(seen.data)
}

fn all_seen(s: &Socket<'_>, waiting: usize, left: usize) -> Result<()> {
    if left == 0 {
        return Ok(());
    }
    refuse(
        RefusalKind::Busy,
        format!(
            "{}: {waiting} bytes wait in it, of which {left} cannot be seen (urgent bytes): try again when they are read, or {}",
            s.name(),
            way(s)
        ),
    )
}

/// What waits in a unix stream, in the pieces in which who reads it gets it: none goes on behind bytes with which descriptors travel, or, if the reader asks
/// who has sent them, beyond those of one sender. They stay where they are.
fn pieces(s: &Socket<'_>) -> Result<Vec<sockets::Peeked>> {
    let waiting = sockets::waiting(&s.fd)?;
    let mut pieces = Vec::new();
    if sockets::events(&s.fd)? & libc::POLLPRI != 0 {
        return refuse(
            RefusalKind::Busy,
            format!("{}: an urgent byte (MSG_OOB) waits in it: try again when it is read, or {}", s.name(), way(s)),
        );
    }
    if waiting == 0 {
        return Ok(pieces);
    }
    let _guard = sockets::PeekFrom::start(&s.fd)?;
    let mut left = waiting;
    while let Some(piece) = if left > 0 { sockets::peek(&s.fd, left)? } else { None } {
        complete(s, &piece)?;
        if piece.data.is_empty() {
            break;
        }
        left = left.saturating_sub(piece.data.len());
        pieces.push(piece);
    }
    all_seen(s, waiting, left)?;
    Ok(pieces)
}

fn complete(s: &Socket<'_>, message: &sockets::Peeked) -> Result<()> {
    if !message.rights_lost {
        return Ok(());
    }
    refuse(
        RefusalKind::Busy,
        format!(
            "{}: more descriptors wait in it to be received (SCM_RIGHTS) than we may have open: raise the limit of cryo-freeze (ulimit -n), or {}",
            s.name(),
            way(s)
        ),
    )
}

/// The way out that always is.
pub fn way(s: &Socket<'_>) -> String {
    format!("use --fd {}=null|FILE", s.d.first().fd)
}
