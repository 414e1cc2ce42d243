//! `ANCL`: what travels with messages that wait in unix sockets.
//!
//! To look at such a message (MSG_PEEK) gives us duplicates of its descriptors. What they refer to, maybe nobody has open: the program has sent it and
//! closed its own. So they are looked at like those of one more process, which is us: see [`Cx::of`].

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use cryo_format::section::ancillary::{Ancillary, AncillaryMessage};
use cryo_tracee::proc::FdDirs;
use cryo_tracee::sockets::Peeked;
use cryo_tracee::{fds, sockets};

use super::description::{Cx, Description};
use super::fd::Fd;
use super::socket::{self, Socket};
use super::{Scene, peers};
use crate::{Refusal, Result};

/// A message with which something travels.
struct Message {
    at: u64,
    len: u64,
    sender: Option<(i32, u32, u32)>,
    /// Numbers of ours.
    fds: Vec<i32>,
}

/// What waits in the unix sockets.
#[derive(Default)]
pub struct InFlight {
    /// Our duplicates, which the others refer to.
    held: Vec<OwnedFd>,
    /// By the inode of the socket in which they wait.
    messages: HashMap<u64, Vec<Message>>,
    /// All that waits, by the same, without descriptors. To look twice would be wrong: at an empty packet that it has shown once the kernel passes over
    /// (`skb->peeked`), when many are looked at.
    queues: RefCell<HashMap<u64, Vec<Peeked>>>,
    /// The descriptors of processes, by those of ours that are to be found through them.
    carriers: HashMap<i32, i32>,
}

impl InFlight {
    /// Looks into the unix sockets among `fds`, which `pidfds` lead to, into those that it finds in there, and so on. Adds what it finds to `fds`, as
    /// descriptors of `us`. Not into those in whose place something else is put, as `replaced` says.
    pub fn look(us: &Scene<'_>, pidfds: &[OwnedFd], fds: &mut Vec<Fd>, replaced: impl Fn(&Fd) -> bool) -> Result<Self> {
        let mut all = Self::default();
        let mut seen: HashSet<u64> = fds.iter().filter(|f| replaced(f)).map(|f| f.meta.ino()).collect();
        let mut next = 0;
        while let Some(f) = fds.get(next) {
            next += 1;
            let path = f.info.flags() & libc::O_PATH as u64 != 0;
            if path || !f.meta.file_type().is_socket() || !seen.insert(f.meta.ino()) {
                continue;
            }
            let fd = fds::take(&pidfds[f.holder], f.fd)?;
            let number = |name: i32| sockets::number(&fd, libc::SOL_SOCKET as u32, name as u32);
            if number(libc::SO_DOMAIN)? != libc::AF_UNIX as u32 || sockets::events(&fd)? & libc::POLLIN == 0 {
                continue;
            }
            let (kind, listens) = (number(libc::SO_TYPE)?, number(libc::SO_ACCEPTCONN)? != 0);
            if listens {
                continue;
            }
            let d = Description { id: 0, fds: vec![f] };
            let socket = Socket { d: &d, fd, family: libc::AF_UNIX as u32, kind, protocol: 0 };
            let number = if f.holder == us.member { all.carriers.get(&f.fd).copied().unwrap_or(f.fd) } else { f.fd };
            let carrier = f.name();
            let Some(mut queue) = queue(&socket)? else { continue };
            let (messages, found) = waiting(&socket, &mut queue)?;
            all.queues.get_mut().insert(f.meta.ino(), queue);
            all.messages.insert(f.meta.ino(), messages);
            if found.is_empty() {
                continue;
            }
            let dirs = FdDirs::open(us.live_tid)?;
            for fd in found {
                let name = format!("the messages that wait in {carrier}");
                all.carriers.insert(fd.as_raw_fd(), number);
                fds.push(Fd::of(us, &dirs, &pidfds[us.member], fd.as_raw_fd(), &mut Vec::new())?.of_process(name));
                all.held.push(fd);
            }
        }
        Ok(all)
    }
}

/// Why a description that nobody has open cannot be carried, and the descriptor through which it would be received.
pub fn refused(cx: &Cx<'_>, f: &Fd, mut why: Refusal) -> (i32, Refusal) {
    let carrier = cx.in_flight.carriers.get(&f.fd).copied().unwrap_or(f.fd);
    why.text = format!(
        "fd {carrier}: a descriptor that waits in it to be received (SCM_RIGHTS) cannot be carried: try again when it is, or use --fd {carrier}=null|FILE: {}",
        why.text
    );
    (carrier, why)
}

/// What waits in a unix socket; none if it cannot be seen.
fn queue(s: &Socket<'_>) -> Result<Option<Vec<Peeked>>> {
    let stream = s.kind as i32 == libc::SOCK_STREAM;
    match if stream { socket::pieces(s) } else { socket::messages(s) } {
        // That is for whoever collects the socket to say.
        Err(crate::Error::Refused(_)) => Ok(None),
        peeked => Ok(Some(peeked?)),
    }
}

/// The messages of one socket with which something travels, and our duplicates of that.
fn waiting(s: &Socket<'_>, queue: &mut [Peeked]) -> Result<(Vec<Message>, Vec<OwnedFd>)> {
    let stream = s.kind as i32 == libc::SOCK_STREAM;
    let (mut messages, mut held, mut place) = (Vec::new(), Vec::new(), 0);
    for m in queue {
        let (start, end) = (place, place + if stream { m.data.len() } else { 1 });
        place = end;
        let sender = m.credentials.filter(|(pid, ..)| *pid != 0);
        if m.rights.is_empty() && sender.is_none() {
            continue;
        }
        let at = if stream && !m.rights.is_empty() { first_byte(s, start, end)? } else { start };
        let message = |at: usize, fds: &[OwnedFd]| Message {
            at: at as u64,
            len: if stream { (end - at) as u64 } else { 0 },
            sender,
            fds: fds.iter().map(AsRawFd::as_raw_fd).collect(),
        };
        if at > start && sender.is_some() {
            messages.push(Message { len: (at - start) as u64, ..message(start, &[]) });
        }
        messages.push(message(at, &m.rights));
        held.append(&mut m.rights);
    }
    Ok((messages, held))
}

/// Where in a stream the bytes begin with which the descriptors were sent that who reads from `start` to `end` gets: he may get bytes of before, too.
fn first_byte(s: &Socket<'_>, start: usize, end: usize) -> Result<usize> {
    let peek = sockets::PeekFrom::start(&s.fd)?;
    peek.at(start)?;
    Ok(start + sockets::last_write(&s.fd, end - start)?)
}

/// What waits in a unix socket, without descriptors; asked for once.
pub fn peeked(cx: &Cx<'_>, s: &Socket<'_>) -> Result<Vec<Peeked>> {
    let seen = cx.in_flight.queues.borrow_mut().remove(&s.ino());
    match seen {
        Some(queue) => Ok(queue),
        None if s.kind as i32 == libc::SOCK_STREAM => socket::pieces(s),
        None => socket::messages(s),
    }
}

/// Adds it for a socket.
pub fn collect(cx: &mut Cx<'_>, s: &Socket<'_>) {
    let Some(messages) = cx.in_flight.messages.get(&s.ino()) else { return };
    let us = cx.us.member;
    let ids: HashMap<i32, u64> =
        cx.all.iter().flat_map(|d| d.fds.iter().filter(|f| f.holder == us).map(|f| (f.fd, d.id))).collect();
    let messages = messages.iter().filter_map(|m| {
        let (pid, uid, gid) = m.sender.and_then(|sender| peers::inner(cx, sender)).unwrap_or_default();
        let descriptions = m.fds.iter().map(|fd| ids.get(fd).copied()).collect::<Option<Vec<u64>>>()?;
        let something = pid != 0 || !descriptions.is_empty();
        something.then(|| AncillaryMessage { at: m.at, len: m.len, pid, uid, gid, descriptions: descriptions.into() })
    });
    let messages: Vec<AncillaryMessage> = messages.collect();
    if !messages.is_empty() {
        cx.out.add(s.d.id, Ancillary { messages: messages.into() });
    }
}
