//! What the restorers of sockets share. Sockets are made by calls in the host, so that it is the host whom their peers see
//! (SO_PEERCRED, SCM_CREDENTIALS); what leaves no such trace is done through a duplicate of ours.

use std::os::fd::OwnedFd;

use cryo_format::prim::Addr;
use cryo_format::socket::{OPTIONS, SocketOption};
use cryo_tracee::{Host, sockets};

use crate::Result;
use crate::error::{About, RefusalKind, reason, refuse};
use crate::notes::Notes;

const SOL_SOCKET: u32 = libc::SOL_SOCKET as u32;
const SO_BUF_LOCK: u32 = 72;
const SO_LOCK_FILTER: u32 = libc::SO_LOCK_FILTER as u32;
const SNDBUF: u32 = libc::SO_SNDBUF as u32;
const RCVBUF: u32 = libc::SO_RCVBUF as u32;
const LINGER: u32 = libc::SO_LINGER as u32;
const PEEK_OFF: u32 = libc::SO_PEEK_OFF as u32;
/// What a batch of remote calls carries easily.
pub const PIECE: usize = 32 << 10;

/// socket(2) in the host, not blocking.
pub fn make(host: &mut Host, family: u32, kind: u32, protocol: u32) -> Result<u64> {
    let kind = kind | (libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK) as u32;
    Ok(host.call(libc::SYS_socket, [family.into(), kind.into(), protocol.into(), 0, 0, 0])?)
}

/// Refuses raw and packet sockets where they cannot be made.
pub fn may_make(fd: u32) -> Result<()> {
    match sockets::socket(libc::AF_PACKET as u32, libc::SOCK_RAW as u32, 0) {
        Err(e) if e.errno() == Some(libc::EPERM) => refuse(
            RefusalKind::Permission,
            format!(
                "fd {fd}: raw and packet sockets take root (CAP_NET_RAW): thaw it as root, or use --fd {fd}=null|FILE"
            ),
        ),
        _ => Ok(()),
    }
}

/// socketpair(2) in the host.
pub fn pair(host: &mut Host, kind: u32) -> Result<(u64, u64)> {
    let kind = kind | (libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK) as u32;
    let mut batch = host.batch()?;
    let two = batch.space(8);
    batch.call(libc::SYS_socketpair, &[libc::AF_UNIX as u64, kind.into(), 0, two.addr]);
    let done = host.run(batch)?;
    done.all()?;
    let both = done.word(two, 0);
    Ok((both & u64::from(u32::MAX), both >> 32))
}

/// bind(2) or connect(2) in the host. The outer error is ours, the inner one the address's.
pub fn with_address(host: &mut Host, call: i64, fd: u64, addr: &[u8]) -> Result<cryo_tracee::Result<u64>> {
    let mut batch = host.batch()?;
    let at = batch.put(addr);
    let call = batch.call(call, &[fd, at.addr, addr.len() as u64]);
    Ok(host.run(batch)?.result(call))
}

/// listen(2) in the host.
pub fn listen(host: &mut Host, fd: u64, backlog: u32) -> Result<()> {
    host.call(libc::SYS_listen, [fd, backlog.into(), 0, 0, 0, 0])?;
    Ok(())
}

/// accept4(2) in the host.
pub fn accept(host: &mut Host, fd: u64) -> Result<u64> {
    let flags = (libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK) as u64;
    Ok(host.call(libc::SYS_accept4, [fd, 0, 0, flags, 0, 0])?)
}

/// close(2) in the host.
pub fn close(host: &mut Host, fd: u64) -> Result<()> {
    host.call(libc::SYS_close, [fd, 0, 0, 0, 0, 0])?;
    Ok(())
}

/// What is sent by one call.
pub struct Piece<'a> {
    /// A message, or a part of a stream.
    pub data: &'a [u8],
    /// The address; empty where the socket is connected.
    pub to: &'a [u8],
    /// Descriptors of the host that travel with it (SCM_RIGHTS).
    pub rights: &'a [u32],
}

/// sendmsg(2) in the host: one message, or as much of a stream as fits. The outer error is ours.
pub fn send(host: &mut Host, fd: u64, piece: &Piece<'_>) -> Result<cryo_tracee::Result<u64>> {
    let flags = (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) as u64;
    let Piece { data, to, rights } = piece;
    // Each datum may be padded.
    let mut batch = host.batch_for(to.len() + data.len() + 4 * rights.len() + 256)?;
    let name = if to.is_empty() { 0 } else { batch.put(to).addr };
    let words = |words: &[u64]| words.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>();
    let at = batch.put(data).addr;
    let vector = batch.put(&words(&[at, data.len() as u64])).addr;
    let mut control = Vec::new();
    if !rights.is_empty() {
        // struct cmsghdr: its length with what follows, level and type; what follows.
        let kind = libc::SOL_SOCKET as u64 | (libc::SCM_RIGHTS as u64) << 32;
        control = words(&[16 + 4 * rights.len() as u64, kind]);
        control.extend(rights.iter().flat_map(|fd| fd.to_le_bytes()));
        control.resize(control.len().next_multiple_of(8), 0);
    }
    let ancillary = if control.is_empty() { 0 } else { batch.put(&control).addr };
    // struct msghdr.
    let message = [name, to.len() as u64, vector, 1, ancillary, control.len() as u64, 0];
    let message = batch.put(&words(&message)).addr;
    let call = batch.call(libc::SYS_sendmsg, &[fd, message, flags]);
    Ok(host.run(batch)?.result(call))
}

/// A send buffer that is as wide as we may make it while a queue is filled: what fitted once must fit again.
pub struct Wide<'a> {
    ours: &'a OwnedFd,
    before: u32,
    locked: Option<u32>,
}

impl<'a> Wide<'a> {
    /// Widens it.
    pub fn new(ours: &'a OwnedFd) -> Result<Self> {
        let before = sockets::number(ours, SOL_SOCKET, SNDBUF)?;
        let locked = sockets::number(ours, SOL_SOCKET, SO_BUF_LOCK).ok();
        buffer(ours, SNDBUF, u32::MAX >> 2)?;
        Ok(Self { ours, before, locked })
    }

    /// As it was.
    pub fn narrow(self) -> Result<()> {
        buffer(self.ours, SNDBUF, self.before)?;
        if let Some(locked) = self.locked {
            sockets::set_option(self.ours, SOL_SOCKET, SO_BUF_LOCK, &locked.to_le_bytes())?;
        }
        Ok(())
    }
}

/// Sets the size of a buffer, of which the kernel takes twice what it is told; beyond its limit where we may.
fn buffer(ours: &OwnedFd, name: u32, size: u32) -> Result<u32> {
    let half = (size / 2).to_le_bytes();
    sockets::set_option(ours, SOL_SOCKET, name, &half)?;
    let got = sockets::number(ours, SOL_SOCKET, name)?;
    let force = if name == SNDBUF { libc::SO_SNDBUFFORCE } else { libc::SO_RCVBUFFORCE };
    if got < size && sockets::set_option(ours, SOL_SOCKET, force as u32, &half).is_ok() {
        return Ok(sockets::number(ours, SOL_SOCKET, name)?);
    }
    Ok(got)
}

/// Options that must stand before a name is taken or a byte arrives.
pub fn early(ours: &OwnedFd, fd: u32, options: &[SocketOption]) -> Result<()> {
    for o in sorted(options).filter(|o| !late_one(o)) {
        if matches!((o.level, o.name), (SOL_SOCKET, SNDBUF | RCVBUF)) {
            let size = o.number().unwrap_or(0);
            if size > sockets::number(ours, o.level, o.name)? {
                buffer(ours, o.name, size)?;
            }
        } else {
            set(ours, fd, o)?;
        }
    }
    Ok(())
}

/// All the rest, when the queues are full: exact sizes, corks, the filter, the flags.
pub fn late(
    notes: &Notes,
    ours: &OwnedFd,
    fd: u32,
    options: &[SocketOption],
    filter: &[u8],
    open_flags: Addr,
) -> Result<()> {
    let sizes = |o: &&SocketOption| o.level == SOL_SOCKET && matches!(o.name, SNDBUF | RCVBUF);
    for o in sorted(options).filter(sizes) {
        let wanted = o.number().unwrap_or(0);
        let got = buffer(ours, o.name, wanted)?;
        if got < wanted {
            notes.add(format!("fd {fd}: {} was {wanted} and can be only {got} here", o.label()));
        }
    }
    if !filter.is_empty() {
        sockets::set_filter(ours, filter)?;
    }
    for o in sorted(options).filter(|o| late_one(o)) {
        set(ours, fd, o)?;
    }
    let changeable = (libc::O_NONBLOCK | libc::O_ASYNC) as u64;
    let flags = rustix::fs::OFlags::from_bits_retain((open_flags.0 & changeable) as u32);
    rustix::fs::fcntl_setfl(ours, flags).about(|| format!("fd {fd}: setting its flags"))
}

/// In the order of the format's table, whatever order an image has.
fn sorted(options: &[SocketOption]) -> impl Iterator<Item = &SocketOption> {
    OPTIONS.iter().flat_map(|k| options.iter().filter(|o| (o.level, o.name) == (k.0, k.1)))
}

/// Would it be in the way while a queue is filled?
fn late_one(o: &SocketOption) -> bool {
    matches!(
        (o.level as i32, o.name),
        (libc::SOL_SOCKET, SO_LOCK_FILTER | SO_BUF_LOCK | LINGER | PEEK_OFF)
            | (libc::IPPROTO_UDP, 1)
            | (libc::IPPROTO_TCP, 3 | 37)
    )
}

/// Sets one option.
fn set(ours: &OwnedFd, fd: u32, o: &SocketOption) -> Result<()> {
    match sockets::set_option(ours, o.level, o.name, &o.value) {
        Ok(()) => Ok(()),
        Err(e) => refuse(
            RefusalKind::Socket,
            format!("fd {fd}: its {} cannot be set: {e}: use --fd {fd}=null|FILE", o.label(), e = reason(&e)),
        ),
    }
}
