//! How a descriptor of ours gets into a host that is there already: by a message, through a socket that it was born with.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use cryo_tracee::{Host, fds};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use super::sockets;
use crate::Result;
use crate::error::{About, Doing, RefusalKind, refuse};

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
        let fds = [fd.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&fds));
        sendmsg(&self.ours, &[IoSlice::new(b"!")], &mut control, SendFlags::empty())
            .about(|| "sending a descriptor to a host".into())?;
        let mut batch = host.batch()?;
        let words = |words: &[u64]| words.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>();
        let byte = batch.space(8);
        let vector = batch.put(&words(&[byte.addr, 1]));
        // struct cmsghdr and one descriptor; struct msghdr.
        let got = batch.space(24);
        let message = batch.put(&words(&[0, 0, vector.addr, 1, got.addr, 24, 0]));
        batch.call(libc::SYS_recvmsg, &[self.theirs, message.addr, libc::MSG_CMSG_CLOEXEC as u64]);
        let done = host.run(batch)?;
        done.all().doing(|| "receiving a descriptor".into())?;
        match done.word(got, 0) {
            20 => Ok(done.word(got, 2) & u64::from(u32::MAX)),
            _ => refuse(RefusalKind::Internal, "a host did not receive the descriptor that it was sent"),
        }
    }
}
