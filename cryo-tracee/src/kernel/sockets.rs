//! Sockets, seen and refined through a duplicate of their descriptor: options, addresses, queues.
//!
//! An address is the kernel's `struct sockaddr` as it is, of the length that the kernel gave: who needs to know what is in it takes it apart.

use std::mem::size_of;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr;

use crate::error::refuse;
use crate::{Error, RefusalKind, Result, fault};

/// Longest address that the kernel knows (struct sockaddr_storage).
const LONGEST: usize = 128;
/// Room for control messages: SCM_RIGHTS takes up to 253 descriptors.
const CONTROL: usize = 4096;

fn check(result: i64, what: impl FnOnce() -> String) -> Result<i64> {
    if result < 0 { Err(Error::last(what())) } else { Ok(result) }
}

fn counted(what: &str) -> Result<()> {
    fault::point().map_err(|e| Error::sys(what, e))
}

/// TCP_ZEROCOPY_RECEIVE (linux/tcp.h): its value holds an address at which the kernel maps pages.
const TCP_ZEROCOPY_RECEIVE: i32 = 35;

/// Is the value of this option nothing but its own bytes? The kernel takes the values of the others for addresses, or counts them in
/// something else than bytes (SO_GET_FILTER, the same number as SO_ATTACH_FILTER: instructions of 8 bytes), and would read or write
/// memory that we did not offer.
fn plain(level: u32, name: u32) -> Result<()> {
    let plain = match level as i32 {
        libc::SOL_SOCKET => !matches!(name as i32, libc::SO_ATTACH_FILTER | libc::SO_ATTACH_REUSEPORT_CBPF),
        libc::IPPROTO_TCP => name as i32 != TCP_ZEROCOPY_RECEIVE,
        _ => true,
    };
    if plain {
        Ok(())
    } else {
        refuse(RefusalKind::Internal, format!("socket option {name} of level {level} is not a plain value"))
    }
}

/// getsockopt(2) of an option of up to 256 bytes.
pub fn option(fd: &OwnedFd, level: u32, name: u32) -> Result<Vec<u8>> {
    ask(fd, level, name, &[], 256)
}

/// getsockopt(2) of an option that is a number.
pub fn number(fd: &OwnedFd, level: u32, name: u32) -> Result<u32> {
    let value = option(fd, level, name)?;
    Ok(value.first_chunk().map_or_else(|| value.first().copied().unwrap_or(0).into(), |b| u32::from_le_bytes(*b)))
}

/// getsockopt(2) of a structure of up to `room` bytes that is asked for with something in it already.
pub fn ask(fd: &OwnedFd, level: u32, name: u32, question: &[u8], room: usize) -> Result<Vec<u8>> {
    plain(level, name)?;
    counted("getsockopt")?;
    let mut value = question.to_vec();
    value.resize(room.max(question.len()), 0);
    let mut len = value.len() as libc::socklen_t;
    // SAFETY: the kernel reads and writes at most `len` bytes of `value`, and writes the length to `len`; options that count otherwise or hold
    // addresses are refused above.
    let r =
        unsafe { libc::getsockopt(fd.as_raw_fd(), level as i32, name as i32, value.as_mut_ptr().cast(), &raw mut len) };
    check(r.into(), || format!("getsockopt({level}, {name})"))?;
    value.truncate(len as usize);
    Ok(value)
}

/// setsockopt(2). Not for options whose value holds pointers, see [`set_filter`].
pub fn set_option(fd: &OwnedFd, level: u32, name: u32, value: &[u8]) -> Result<()> {
    plain(level, name)?;
    // SAFETY: the kernel reads value.len() bytes; options whose values hold addresses are refused above.
    let r = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level as i32,
            name as i32,
            value.as_ptr().cast(),
            value.len() as libc::socklen_t,
        )
    };
    check(r.into(), || format!("setsockopt({level}, {name})")).map(drop)
}

/// The classic BPF program attached to a socket, as `struct sock_filter` (8 bytes each); empty for none (SO_GET_FILTER).
pub fn filter(fd: &OwnedFd) -> Result<Vec<u8>> {
    counted("getsockopt(SO_GET_FILTER)")?;
    let mut value = vec![0_u8; 8 * 4096];
    // Counted in instructions, not bytes.
    let mut len: libc::socklen_t = 4096;
    // SAFETY: the kernel writes at most `len` instructions of 8 bytes, for which `value` has room.
    let r = unsafe {
        libc::getsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_GET_FILTER, value.as_mut_ptr().cast(), &raw mut len)
    };
    check(r.into(), || "reading the filter of a socket".into())?;
    value.truncate(len as usize * 8);
    Ok(value)
}

/// Attaches a classic BPF program.
pub fn set_filter(fd: &OwnedFd, filter: &[u8]) -> Result<()> {
    let program: Vec<libc::sock_filter> = filter
        .chunks_exact(8)
        .map(|b| libc::sock_filter {
            code: u16::from_le_bytes([b[0], b[1]]),
            jt: b[2],
            jf: b[3],
            k: u32::from_le_bytes([b[4], b[5], b[6], b[7]]),
        })
        .collect();
    let fprog = libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() };
    // SAFETY: `fprog` and the program that it points to live until the call is over; the kernel only reads them.
    let r = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const fprog).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    };
    check(r.into(), || "attaching a filter to a socket".into()).map(drop)
}

fn address(
    call: unsafe extern "C" fn(i32, *mut libc::sockaddr, *mut libc::socklen_t) -> i32,
    fd: &OwnedFd,
    what: &str,
) -> Result<Vec<u8>> {
    counted(what)?;
    let mut addr = vec![0_u8; LONGEST];
    let mut len = LONGEST as libc::socklen_t;
    // SAFETY: getsockname or getpeername: the kernel writes at most `len` bytes to `addr` and the length to `len`.
    let r = unsafe { call(fd.as_raw_fd(), addr.as_mut_ptr().cast(), &raw mut len) };
    check(r.into(), || what.to_owned())?;
    addr.truncate(len as usize);
    Ok(addr)
}

/// getsockname(2).
pub fn local(fd: &OwnedFd) -> Result<Vec<u8>> {
    address(libc::getsockname, fd, "getsockname")
}

/// getpeername(2); `None` if it has no peer.
pub fn remote(fd: &OwnedFd) -> Result<Option<Vec<u8>>> {
    match address(libc::getpeername, fd, "getpeername") {
        Ok(a) => Ok(Some(a)),
        Err(e) if matches!(e.errno(), Some(libc::ENOTCONN | libc::EINVAL)) => Ok(None),
        Err(e) => Err(e),
    }
}

/// socket(2), closed at exec and not blocking.
pub fn socket(family: u32, kind: u32, protocol: u32) -> Result<OwnedFd> {
    use std::os::fd::FromRawFd;
    let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: takes numbers; a result that is not negative is a new descriptor that nobody else owns.
    unsafe {
        let fd = libc::socket(family as i32, kind as i32 | flags, protocol as i32);
        check(fd.into(), || format!("socket({family}, {kind}, {protocol})"))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// bind(2).
pub fn bind(fd: &OwnedFd, addr: &[u8]) -> Result<()> {
    // SAFETY: the kernel reads addr.len() bytes.
    let r = unsafe { libc::bind(fd.as_raw_fd(), addr.as_ptr().cast(), addr.len() as libc::socklen_t) };
    check(r.into(), || "bind".into()).map(drop)
}

/// connect(2).
pub fn connect(fd: &OwnedFd, addr: &[u8]) -> Result<()> {
    // SAFETY: the kernel reads addr.len() bytes.
    let r = unsafe { libc::connect(fd.as_raw_fd(), addr.as_ptr().cast(), addr.len() as libc::socklen_t) };
    check(r.into(), || "connect".into()).map(drop)
}

/// listen(2).
pub fn listen(fd: &OwnedFd, backlog: u32) -> Result<()> {
    // SAFETY: takes numbers only.
    check(unsafe { libc::listen(fd.as_raw_fd(), backlog as i32) }.into(), || "listen".into()).map(drop)
}

/// accept4(2), closed at exec and not blocking.
pub fn accept(fd: &OwnedFd) -> Result<OwnedFd> {
    use std::os::fd::FromRawFd;
    let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: no address is asked for; a result that is not negative is a new descriptor that nobody else owns.
    unsafe {
        let got = libc::accept4(fd.as_raw_fd(), ptr::null_mut(), ptr::null_mut(), flags);
        check(got.into(), || "accept".into())?;
        Ok(OwnedFd::from_raw_fd(got))
    }
}

/// shutdown(2): SHUT_RD 0, SHUT_WR 1, SHUT_RDWR 2.
pub fn shutdown(fd: &OwnedFd, how: u32) -> Result<()> {
    // SAFETY: takes numbers only.
    check(unsafe { libc::shutdown(fd.as_raw_fd(), how as i32) }.into(), || "shutdown".into()).map(drop)
}

fn asked(fd: &OwnedFd, request: libc::c_ulong, what: &str) -> Result<usize> {
    counted(what)?;
    let mut n: libc::c_int = 0;
    // SAFETY: the three requests below write one int.
    let r = unsafe { libc::ioctl(fd.as_raw_fd(), request, &raw mut n) };
    check(r.into(), || what.to_owned())?;
    Ok(n.max(0) as usize)
}

/// Bytes that wait to be read (SIOCINQ); of datagrams, those of the first.
pub fn waiting(fd: &OwnedFd) -> Result<usize> {
    asked(fd, libc::FIONREAD as libc::c_ulong, "SIOCINQ")
}

/// Bytes that were written and that the other side has not taken (SIOCOUTQ).
pub fn unsent(fd: &OwnedFd) -> Result<usize> {
    asked(fd, libc::TIOCOUTQ as libc::c_ulong, "SIOCOUTQ")
}

/// Of those, the ones that have not been sent at all (SIOCOUTQNSD of linux/sockios.h).
pub fn not_sent(fd: &OwnedFd) -> Result<usize> {
    asked(fd, 0x894B, "SIOCOUTQNSD")
}

/// What poll(2) says of it now.
pub fn events(fd: &OwnedFd) -> Result<i16> {
    counted("poll")?;
    let mut p = libc::pollfd {
        fd: fd.as_raw_fd(),
        events: libc::POLLIN | libc::POLLOUT | libc::POLLRDHUP | libc::POLLPRI,
        revents: 0,
    };
    // SAFETY: one pollfd, and no waiting.
    check(unsafe { libc::poll(&raw mut p, 1, 0) }.into(), || "poll of a socket".into())?;
    Ok(p.revents)
}

/// linux/socket.h; libc lacks it.
const SCM_PIDFD: i32 = 4;

/// A message that was looked at and left where it is.
#[derive(Debug, Default)]
pub struct Peeked {
    /// Its bytes.
    pub data: Vec<u8>,
    /// Who sent it; empty if unknown.
    pub from: Vec<u8>,
    /// Did it not fit?
    pub truncated: bool,
    /// Duplicates of the descriptors that travel with it (SCM_RIGHTS), closed at exec.
    pub rights: Vec<OwnedFd>,
    /// Did more of them travel than there was room for?
    pub rights_lost: bool,
    /// Who sent it, where the socket asks for that (SCM_CREDENTIALS): pid, user, group.
    pub credentials: Option<(i32, u32, u32)>,
    /// The same as a pidfd (SCM_PIDFD, Linux 6.5), where it asks for that.
    pub pidfd: Option<OwnedFd>,
}

/// recvmsg(2) with MSG_PEEK, of up to `room` bytes; `None` if nothing waits.
pub fn peek(fd: &OwnedFd, room: usize) -> Result<Option<Peeked>> {
    counted("looking into a socket's queue")?;
    let (mut data, mut from, mut control) = (vec![0_u8; room], vec![0_u8; LONGEST], vec![0_u64; CONTROL / 8]);
    let mut iov = libc::iovec { iov_base: data.as_mut_ptr().cast(), iov_len: room };
    // SAFETY: msghdr is plain data for which zeros are valid.
    let mut msg: libc::msghdr = unsafe { std::mem::zeroed() };
    msg.msg_name = from.as_mut_ptr().cast();
    msg.msg_namelen = LONGEST as libc::socklen_t;
    msg.msg_iov = &raw mut iov;
    msg.msg_iovlen = 1;
    msg.msg_control = control.as_mut_ptr().cast();
    msg.msg_controllen = CONTROL;
    let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: every pointer in `msg` is to memory of the announced length that lives until the call is over.
    let n = unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut msg, flags) };
    if n < 0 {
        let e = Error::last("looking into a socket's queue");
        return if e.errno() == Some(libc::EAGAIN) { Ok(None) } else { Err(e) };
    }
    data.truncate(n as usize);
    from.truncate(msg.msg_namelen as usize);
    let mut peeked = ancillary(&msg);
    let is = |flag| msg.msg_flags & flag != 0;
    (peeked.truncated, peeked.rights_lost) = (is(libc::MSG_TRUNC), is(libc::MSG_CTRUNC));
    (peeked.data, peeked.from) = (data, from);
    Ok(Some(peeked))
}

/// Where in the next `len` bytes of a stream (by SO_PEEK_OFF) the last of the writes begins of which they consist. A write into a unix socket stays one buffer
/// of the kernel, which is copied to who reads as a whole or, where his memory ends, not at all: so the last byte has no place here.
pub fn last_write(fd: &OwnedFd, len: usize) -> Result<usize> {
    counted("looking into a socket's queue")?;
    let mut data = vec![0_u8; len.saturating_sub(1)];
    let no_memory = ptr::without_provenance_mut(1);
    let mut iov = [
        libc::iovec { iov_base: data.as_mut_ptr().cast(), iov_len: data.len() },
        libc::iovec { iov_base: no_memory, iov_len: 1 },
    ];
    // SAFETY: msghdr is plain data for which zeros are valid.
    let mut msg: libc::msghdr = unsafe { std::mem::zeroed() };
    msg.msg_iov = iov.as_mut_ptr();
    msg.msg_iovlen = iov.len();
    // SAFETY: the first vector is memory of the announced length that lives until the call is over; to the second, in the page that is never mapped, the kernel
    // fails to write. Without room for control messages there come no descriptors.
    let n = unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut msg, libc::MSG_PEEK | libc::MSG_DONTWAIT) };
    if n >= 0 {
        return Ok(n as usize);
    }
    let e = Error::last("looking into a socket's queue");
    if e.errno() == Some(libc::EFAULT) { Ok(0) } else { Err(e) }
}

/// The descriptors that came with a message, and who sent it.
fn ancillary(msg: &libc::msghdr) -> Peeked {
    use std::os::fd::FromRawFd;
    let mut peeked = Peeked::default();
    // SAFETY: `msg` was filled by recvmsg and its control buffer still lives; CMSG_* stay inside of msg_controllen. Each descriptor is new and
    // nobody else's.
    unsafe {
        let mut cmsg = libc::CMSG_FIRSTHDR(msg);
        while let Some(header) = cmsg.as_ref() {
            let bytes = header.cmsg_len - (libc::CMSG_DATA(cmsg) as usize - cmsg as usize);
            let data = std::slice::from_raw_parts(libc::CMSG_DATA(cmsg), bytes);
            let mut numbers =
                data.chunks_exact(size_of::<i32>()).filter_map(|n| Some(i32::from_ne_bytes(n.try_into().ok()?)));
            match (header.cmsg_level, header.cmsg_type) {
                (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
                    peeked.rights.extend(numbers.map(|fd| OwnedFd::from_raw_fd(fd)));
                }
                // An errno where there is none.
                (libc::SOL_SOCKET, SCM_PIDFD) => {
                    peeked.pidfd = numbers.next().filter(|fd| *fd >= 0).map(|fd| OwnedFd::from_raw_fd(fd));
                }
                (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) => {
                    if let (Some(pid), Some(uid), Some(gid)) = (numbers.next(), numbers.next(), numbers.next()) {
                        peeked.credentials = Some((pid, uid as u32, gid as u32));
                    }
                }
                _ => {}
            }
            cmsg = libc::CMSG_NXTHDR(msg, cmsg);
        }
    }
    peeked
}

/// Who is at the other end of a unix socket: pid, user, group (SO_PEERCRED); the pid is 0 if nobody is, or somebody whom we cannot see.
pub fn peer(fd: &OwnedFd) -> Result<(i32, u32, u32)> {
    let value = option(fd, libc::SOL_SOCKET as u32, libc::SO_PEERCRED as u32)?;
    let number = |i: usize| value.get(4 * i..).and_then(|v| v.first_chunk()).map_or(0, |b| u32::from_ne_bytes(*b));
    Ok((number(0) as i32, number(1), number(2)))
}

/// sendto(2) without waiting; `to` may be empty for a connected socket. Returns how many bytes were taken.
pub fn send(fd: &OwnedFd, data: &[u8], to: &[u8]) -> Result<usize> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    let addr = if to.is_empty() { ptr::null() } else { to.as_ptr().cast() };
    // SAFETY: the kernel reads data.len() bytes of `data` and to.len() bytes of `to`.
    let n = unsafe {
        libc::sendto(fd.as_raw_fd(), data.as_ptr().cast(), data.len(), flags, addr, to.len() as libc::socklen_t)
    };
    check(n as i64, || format!("sending {} bytes into a socket", data.len())).map(|n| n as usize)
}

/// Keeps a socket's SO_PEEK_OFF at a place of ours, so that one message after another can be looked at; puts it back when dropped.
pub struct PeekFrom<'a> {
    fd: &'a OwnedFd,
    before: Vec<u8>,
}

impl<'a> PeekFrom<'a> {
    /// From the beginning of the queue.
    pub fn start(fd: &'a OwnedFd) -> Result<Self> {
        let (level, name) = (libc::SOL_SOCKET as u32, libc::SO_PEEK_OFF as u32);
        let before = option(fd, level, name)?;
        let guard = Self { fd, before };
        guard.at(0)?;
        Ok(guard)
    }

    /// From this byte of the queue on.
    pub fn at(&self, place: usize) -> Result<()> {
        set_option(self.fd, libc::SOL_SOCKET as u32, libc::SO_PEEK_OFF as u32, &(place as i32).to_le_bytes())
    }
}

impl Drop for PeekFrom<'_> {
    fn drop(&mut self) {
        let _ = set_option(self.fd, libc::SOL_SOCKET as u32, libc::SO_PEEK_OFF as u32, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Attached by one call, read by a generic one: it would write 8 times as many bytes as it was offered.
    #[test]
    fn an_option_that_is_not_a_plain_value_is_refused() {
        let fd = socket(libc::AF_INET as u32, libc::SOCK_DGRAM as u32, 0).expect("a UDP socket");
        let accept_all = [6, 0, 0, 0, 0xff, 0xff, 0xff, 0xff];
        set_filter(&fd, &accept_all.repeat(200)).expect("a filter of 200 instructions");
        assert_eq!(filter(&fd).expect("its instructions").len(), 1600);
        let (level, name) = (libc::SOL_SOCKET as u32, libc::SO_GET_FILTER as u32);
        assert!(option(&fd, level, name).is_err() && set_option(&fd, level, name, &[0; 16]).is_err());
        assert!(option(&fd, libc::IPPROTO_TCP as u32, TCP_ZEROCOPY_RECEIVE as u32).is_err());
    }
}
