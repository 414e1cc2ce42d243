//! `ANCL`: what travels with messages that wait in unix sockets.
//!
//! To look at such a message (MSG_PEEK) gives us duplicates of its descriptors. What they refer to, maybe nobody has open: the program has sent it and
//! closed its own. So they are looked at like those of one more process, which is us: see [`Cx::of`].

use std::collections::HashSet;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use cryo_format::section::ancillary::{Ancillary, AncillaryMessage};
use cryo_format::section::unix::Unix;
use cryo_tracee::proc::{FdDirs, FdInfo, Status};
use cryo_tracee::sockets::Peeked;
use cryo_tracee::{fds, sockets};

use super::description::{Cx, Description};
use super::fd::Fd;
use super::in_flight::{InFlight, Message};
use super::socket::{self, Socket};
use super::{RefusalKind, Scene, peers, refuse};
use crate::{Refusal, Result};

/// Looks into the unix sockets among `fds`, which `pidfds` lead to, into those that it finds in there, and so on. Adds what it finds to `fds`, as
/// descriptors of `us`. Not through those in whose place something else is put, as `replaced` says.
pub fn look(
    root: i32,
    us: &Scene<'_>,
    pidfds: &[OwnedFd],
    fds: &mut Vec<Fd>,
    replaced: impl Fn(&Fd) -> bool,
) -> Result<InFlight> {
    let mut all = InFlight::default();
    let mut seen = HashSet::new();
    let mut next = 0;
    while let Some(f) = fds.get(next) {
        next += 1;
        let path = f.info.flags() & libc::O_PATH as u64 != 0;
        if path || replaced(f) || !f.meta.file_type().is_socket() || !seen.insert(f.meta.ino()) {
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
        if queue.iter().any(|m| m.pidfd.is_some() && sender(m).is_none_or(|(pid, ..)| pid != root)) {
            all.forgotten.insert(f.meta.ino());
        }
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
    match socket::waiting(s) {
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
        let sender = sender(m);
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

/// Who sent it, if the socket asks for that, and if it can be known: a process that has ended and was waited for is a pidfd without a number.
fn sender(m: &Peeked) -> Option<(i32, u32, u32)> {
    let told = m.credentials.filter(|(pid, ..)| *pid != 0);
    told.or_else(|| {
        let fd = m.pidfd.as_ref()?.as_raw_fd();
        let pid = FdInfo::of(std::process::id() as i32, fd).ok()?.number("Pid").filter(|pid| *pid > 0)? as i32;
        let status = Status::of(pid).ok()?;
        Some((pid, status.ids("Uid")[0], status.ids("Gid")[0]))
    })
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
    if let Some(queue) = seen {
        return Ok(queue);
    }
    let queue = socket::waiting(s)?;
    if queue.iter().any(|m| !m.rights.is_empty() || sender(m).is_some()) {
        return refuse(
            RefusalKind::Busy,
            format!("{}: a message with descriptors, or with who sent it, came into it just now: try again", s.name()),
        );
    }
    Ok(queue)
}

/// Why who is not born yet when messages are sent again cannot be in one; none of a description that is in none.
pub fn too_late(cx: &Cx<'_>, d: &Description<'_>, what: &str) -> Option<String> {
    let sent = d.fds.iter().any(|f| cx.is_in_flight(f));
    sent.then(|| format!("{what} of another process than the first of them, in a message, is not carried"))
}

/// Adds it for each socket that is in the image, when all descriptions are: one that others share may stand in the image by another id than its own.
pub fn collect(cx: &mut Cx<'_>) {
    for d in cx.all {
        let Some(messages) = cx.in_flight.messages.get(&d.first().meta.ino()) else { continue };
        if cx.out.section::<Unix>(d.id).is_none() {
            continue;
        }
        let messages = messages.iter().filter_map(|m| {
            let (pid, uid, gid) = m.sender.and_then(|sender| peers::inner(cx, sender)).unwrap_or_default();
            let descriptions = m.fds.iter().map(|fd| cx.sent.get(fd).copied()).collect::<Option<Vec<u64>>>()?;
            let descriptions = descriptions.into();
            Some(AncillaryMessage { at: m.at, len: m.len, pid, uid, gid, descriptions })
        });
        let messages: Vec<AncillaryMessage> = messages.filter(|m| m.pid != 0 || !m.descriptions.is_empty()).collect();
        if !messages.is_empty() {
            cx.out.add(d.id, Ancillary { messages: messages.into() });
        }
        if cx.in_flight.forgotten.contains(&d.first().meta.ino()) {
            let text = "who receives a message that waits in it gets a pidfd (SO_PASSPIDFD) of a process that has ended, and not of who sent it: that was not the first process of the set";
            cx.out.note(d.first().name(), text);
        }
    }
}
