//! Calls that are answered without a stop (seccomp_unotify(2)).
//!
//! The kernel lets who asks sleep, wakes us on the same processor, and the other way round: no other one has to be woken, which in a virtual machine takes
//! longer than all the rest (SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP, Linux 6.6). A signal or a stop interrupts who waits for an answer, and the kernel would have the
//! call fail then ([`Stopped::interrupted`](crate::Stopped::interrupted)).

use std::mem::zeroed;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use super::filter::ARCH_I386;
use crate::version;

/// _IOW('!', 4, u64), linux/seccomp.h
const SET_FLAGS: libc::Ioctl = 0x4008_2104;
const SYNC_WAKE_UP: libc::c_ulong = 1;

/// It is asked. Polled, it is readable if somebody asks, and hung up when nobody is left who could.
#[derive(Debug)]
pub struct Listener(OwnedFd);

/// Somebody asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    id: u64,
    /// The thread.
    pub tid: i32,
    /// Is the call one of 32-bit code, or `int 0x80`?
    pub i386: bool,
    /// Its number there.
    pub number: u32,
}

/// Does the kernel wake us on the processor of who asks? Where it does not, a stop is as fast.
pub(super) fn wakes_here() -> bool {
    !version::is_before(6, 6)
}

impl Listener {
    /// That of a filter that was installed with SECCOMP_FILTER_FLAG_NEW_LISTENER.
    pub(super) fn of(fd: OwnedFd) -> Self {
        // SAFETY: takes a number. Without it answers come as well, but later.
        unsafe { libc::ioctl(fd.as_raw_fd(), SET_FLAGS, SYNC_WAKE_UP) };
        Self(fd)
    }

    /// Who asks next. To be called when it is readable; none if whoever asked does so no more.
    pub fn question(&self) -> Option<Question> {
        // SAFETY: numbers only, of which every bit pattern is one; the kernel wants them to be 0.
        let mut asked: libc::seccomp_notif = unsafe { zeroed() };
        // SAFETY: the kernel writes a struct seccomp_notif.
        let done = unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut asked) };
        (done == 0).then_some(Question {
            id: asked.id,
            tid: asked.pid as i32,
            i386: asked.data.arch == ARCH_I386,
            number: asked.data.nr as u32,
        })
    }

    /// Gives a call this result. Whoever does not wait for it any more does not get it.
    pub fn answer(&self, question: Question, result: i64) {
        let answer = libc::seccomp_notif_resp { id: question.id, val: result, error: 0, flags: 0 };
        // SAFETY: the kernel reads a struct seccomp_notif_resp.
        unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw const answer) };
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
