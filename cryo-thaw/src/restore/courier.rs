//! How a descriptor of ours gets into a host that is there already: by a message, through a socket that it was born with.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use cryo_tracee::{Host, fds};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use super::sockets;
use crate::Result;
use crate::error::{About, Doing, RefusalKind, refuse};

/// As many descriptors as one message carries (SCM_MAX_FD, unix(7)).
pub const MOST: usize = 253;

/// The way by which descriptors come to hosts that are there already.
pub struct Courier {
    /// Our end.
    pub(super) ours: OwnedFd,
    /// Where each host has the other.
    pub(super) theirs: u64,
}

impl Courier {
    /// Makes the way; the host has its end at `base` or above.
    pub fn between(host: &mut Host, base: u64) -> Result<Self> {
        let (ours, theirs) = sockets::pair(host, libc::SOCK_SEQPACKET as u32)?;
        let taken = fds::take(&fds::pidfd(host.tid())?, ours as i32)?;
        let parked = host.call(libc::SYS_fcntl, [theirs, libc::F_DUPFD_CLOEXEC as u64, base, 0, 0, 0])?;
        sockets::close(host, ours)?;
        sockets::close(host, theirs)?;
        Ok(Self { ours: taken, theirs: parked })
    }

    /// Where each host has its end.
    pub fn theirs(&self) -> u64 {
        self.theirs
    }

    /// There is no way to this host any more.
    pub fn leave(&self, host: &mut Host) -> Result<()> {
        sockets::close(host, self.theirs)
    }

    /// Gives the host a descriptor of ours; returns its number there.
    pub fn give(&self, host: &mut Host, fd: &OwnedFd) -> Result<u64> {
        match self.give_all(host, &[fd.as_fd()])?[..] {
            [number] => Ok(number),
            _ => refuse(RefusalKind::Internal, "a host did not receive the descriptor that it was sent"),
        }
    }

    /// Gives the host descriptors of ours, at most [`MOST`]; returns their numbers there, in the same order.
    pub fn give_all(&self, host: &mut Host, fds: &[BorrowedFd<'_>]) -> Result<Vec<u64>> {
        if fds.is_empty() {
            return Ok(Vec::new());
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(fds));
        sendmsg(&self.ours, &[IoSlice::new(b"!")], &mut control, SendFlags::empty())
            .about(|| "sending descriptors to a host".into())?;
        let mut batch = host.batch()?;
        let words = |words: &[u64]| words.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>();
        let byte = batch.space(8);
        let vector = batch.put(&words(&[byte.addr, 1]));
        // struct cmsghdr and the descriptors; struct msghdr.
        let len = 16 + 4 * fds.len();
        let room = len.next_multiple_of(8);
        let got = batch.space(room);
        let message = batch.put(&words(&[0, 0, vector.addr, 1, got.addr, room as u64, 0]));
        batch.call(libc::SYS_recvmsg, &[self.theirs, message.addr, libc::MSG_CMSG_CLOEXEC as u64]);
        let done = host.run(batch)?;
        done.all().doing(|| "receiving descriptors".into())?;
        if done.word(got, 0) != len as u64 {
            return refuse(RefusalKind::Internal, "a host did not receive the descriptors that it was sent");
        }
        let number = |i: usize| done.word(got, 2 + i / 2) >> (32 * (i % 2)) & u64::from(u32::MAX);
        Ok((0..fds.len()).map(number).collect())
    }
}
