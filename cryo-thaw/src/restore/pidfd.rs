//! `PIDF` and `PIDD`: processes as files.
//!
//! A process must be there to be made a file, and for a file in its /proc. So one of another process than the root is made when all are born, by the first who has it; others who have the
//! same description get it from us by a message, through a socket that all were born with.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use cryo_format::section::descriptors::{Descriptor, Descriptors};
use cryo_format::section::pidfd::{DeadPidfd, Pidfd};
use cryo_format::section::process::Process;
use cryo_tracee::Host;
use cryo_tracee::proc::Status;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use super::table::Table;
use super::{files, sockets};
use crate::Result;
use crate::error::{About, Doing, RefusalKind, refuse};

/// The way by which descriptors come to hosts that are there already.
pub struct Courier {
    /// Our end.
    ours: OwnedFd,
    /// Where each host has the other.
    theirs: u64,
}

/// Makes it, if it can be made now.
pub fn restore(host: &mut Host, table: &mut Table<'_>, _fd: u32, id: u64) -> Result<Option<u64>> {
    if let Some(dead) = table.section::<DeadPidfd>(id) {
        return gone(host, dead.open_flags.0).map(Some);
    }
    let Some(pidfd) = table.section::<Pidfd>(id) else { return Ok(None) };
    let itself = host.call(libc::SYS_getpid, [0; 6])?;
    Ok(Some(open(host, itself, pidfd.open_flags.0)?))
}

/// Is it made when all are born?
pub fn is_late(table: &Table<'_>, id: u64) -> bool {
    table.section::<Pidfd>(id).is_some_and(|p| p.process != table.root())
        || table.section::<DeadPidfd>(id).is_some_and(|d| d.pid != 0)
        || files::is_late(table, id)
}

/// Makes the way for those that are made late, if there are any.
pub fn prepare(host: &mut Host, table: &mut Table<'_>) -> Result<()> {
    let tables = table.frost.all::<Descriptors>().flat_map(|(_, table)| table.descriptors.iter());
    if !tables.into_iter().any(|d| is_late(table, d.description)) {
        return Ok(());
    }
    let (ours, theirs) = sockets::pair(host, libc::SOCK_SEQPACKET as u32)?;
    let theirs = table.park(host, theirs)?;
    let taken = table.take(ours)?;
    sockets::close(host, ours)?;
    table.courier = Some(Courier { ours: taken, theirs });
    Ok(())
}

/// Puts those that are made late at their numbers in the process whose turn it is. All are born, and nothing parked is closed yet.
pub fn place(host: &mut Host, table: &mut Table<'_>) -> Result<()> {
    let late = |table: &Table<'_>, d: &Descriptor| table.at(d.description).is_none() && is_late(table, d.description);
    for d in table.wanted {
        if table.ruled(d.fd) || !late(table, d) {
            continue;
        }
        let opened = match table.late.get(&d.description) {
            Some(made) => receive(host, table, made)?,
            None => {
                let opened = now(host, table, d)?;
                let taken = table.take(opened)?;
                table.late.insert(d.description, taken);
                opened
            }
        };
        let flags = if d.flags & 1 != 0 { libc::O_CLOEXEC as u64 } else { 0 };
        if opened != u64::from(d.fd) {
            host.call(libc::SYS_dup3, [opened, d.fd.into(), flags, 0, 0, 0])?;
            sockets::close(host, opened)?;
        } else if flags == 0 {
            host.call(libc::SYS_fcntl, [opened, libc::F_SETFD as u64, 0, 0, 0, 0])?;
        }
    }
    Ok(())
}

fn now(host: &mut Host, table: &Table<'_>, d: &Descriptor) -> Result<u64> {
    if let Some(opened) = files::now(host, table, d.fd, d.description)? {
        return Ok(opened);
    }
    let living = table.section::<Pidfd>(d.description);
    let dead = table.section::<DeadPidfd>(d.description);
    let old = living.and_then(|p| table.frost.get::<Process>(p.process)).map(|p| p.pid).or(dead.map(|d| d.pid));
    let flags = living.map(|p| p.open_flags).or(dead.map(|d| d.open_flags)).unwrap_or_default();
    let Some(pid) = old.and_then(|old| table.pids.get(&old)) else {
        let fd = d.fd;
        return refuse(
            RefusalKind::Descriptor,
            format!("fd {fd}: the process that it refers to is not in the image: use --fd {fd}=null"),
        );
    };
    open(host, *pid, flags.0)
}

fn open(host: &mut Host, pid: u64, flags: u64) -> Result<u64> {
    let flags = flags & (libc::O_NONBLOCK | libc::O_EXCL) as u64;
    host.call(libc::SYS_pidfd_open, [pid, flags, 0, 0, 0, 0]).doing(|| format!("opening process {pid} as a file"))
}

/// One of a process that nobody waits for any more.
fn gone(host: &mut Host, flags: u64) -> Result<u64> {
    let child = host.fork(None, libc::SIGCHLD, 0)?;
    let pid = Status::of(child.pid())?.inner("NSpid").unwrap_or(child.pid() as u64);
    let opened = open(host, pid, flags & !(libc::O_EXCL as u64))?;
    child.end_as(0)?;
    host.call(libc::SYS_wait4, [pid, 0, 0, 0, 0, 0])?;
    host.forget_children()?;
    Ok(opened)
}

/// Gives the host a descriptor of ours.
fn receive(host: &mut Host, table: &Table<'_>, fd: &OwnedFd) -> Result<u64> {
    let Some(Courier { ours, theirs }) = &table.courier else {
        return refuse(RefusalKind::Internal, "there is no way to a host for a descriptor");
    };
    let fds = [fd.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&fds));
    sendmsg(ours, &[IoSlice::new(b"!")], &mut control, SendFlags::empty())
        .about(|| "sending a descriptor to a host".into())?;
    let mut batch = host.batch()?;
    let words = |words: &[u64]| words.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>();
    let byte = batch.space(8);
    let vector = batch.put(&words(&[byte.addr, 1]));
    // struct cmsghdr and one descriptor; struct msghdr.
    let got = batch.space(24);
    let message = batch.put(&words(&[0, 0, vector.addr, 1, got.addr, 24, 0]));
    batch.call(libc::SYS_recvmsg, &[*theirs, message.addr, libc::MSG_CMSG_CLOEXEC as u64]);
    let done = host.run(batch)?;
    done.all().doing(|| "receiving a descriptor".into())?;
    match done.word(got, 0) {
        20 => Ok(done.word(got, 2) & u64::from(u32::MAX)),
        _ => refuse(RefusalKind::Internal, "a host did not receive the descriptor that it was sent"),
    }
}
