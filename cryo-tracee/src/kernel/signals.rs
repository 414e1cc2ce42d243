//! Signals to and from the processes we deal with.

use std::io;
use std::mem::zeroed;
use std::ptr;

use crate::{Error, Result};

/// kill(2).
pub fn kill(pid: i32, signal: i32) -> Result<()> {
    // SAFETY: takes two numbers.
    if unsafe { libc::kill(pid, signal) } == 0 {
        return Ok(());
    }
    Err(Error::last(format!("sending signal {signal} to process {pid}")))
}

/// tgkill(2); an error means that the thread is gone.
pub(crate) fn send_thread(pid: i32, tid: i32, signal: i32) {
    // SAFETY: takes three numbers.
    unsafe { libc::syscall(libc::SYS_tgkill, pid, tid, signal) };
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// exit(2) with this status.
    Exit(i32),
    /// By this signal.
    Signal(i32),
}

impl Ended {
    /// The shell's way to put it into one number: 128+n for a signal.
    pub fn code(self) -> i32 {
        match self {
            Self::Exit(code) => code,
            Self::Signal(n) => 128 + n,
        }
    }

    pub(crate) fn of(status: i32) -> Self {
        if libc::WIFSIGNALED(status) {
            Self::Signal(libc::WTERMSIG(status))
        } else {
            Self::Exit(libc::WEXITSTATUS(status))
        }
    }
}

/// Has somebody sent the SIGTERM that [`Uninterrupted`] holds back?
pub fn asked_to_end() -> bool {
    // SAFETY: sigset_t is plain data, which the call fills.
    unsafe {
        let mut set: libc::sigset_t = zeroed();
        libc::sigpending(&raw mut set) == 0 && libc::sigismember(&raw const set, libc::SIGTERM) == 1
    }
}

/// Blocks SIGTERM while it lives: a guardian must not end between changing registers and putting them back.
pub struct Uninterrupted {
    before: libc::sigset_t,
}

impl Uninterrupted {
    /// From here on.
    pub fn begin() -> Self {
        // SAFETY: sigset_t is plain data, initialised by the calls; only this thread's mask changes.
        unsafe {
            let mut set: libc::sigset_t = zeroed();
            let mut before: libc::sigset_t = zeroed();
            libc::sigemptyset(&raw mut set);
            libc::sigaddset(&raw mut set, libc::SIGTERM);
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, &raw mut before);
            Self { before }
        }
    }
}

impl Drop for Uninterrupted {
    fn drop(&mut self) {
        // SAFETY: `before` came from pthread_sigmask. SIGCHLD stays blocked: waiting for tracees depends on it.
        unsafe {
            let mut set = self.before;
            libc::sigaddset(&raw mut set, libc::SIGCHLD);
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const set, ptr::null_mut());
        }
    }
}

/// Waits for a child of ours to end.
pub fn wait_child(pid: i32) -> Result<Ended> {
    let mut status = 0;
    loop {
        // SAFETY: the kernel writes one int.
        let r = unsafe { libc::waitpid(pid, &raw mut status, 0) };
        if r == pid {
            return Ok(Ended::of(status));
        }
        let e = io::Error::last_os_error();
        if e.raw_os_error() != Some(libc::EINTR) {
            return Err(Error::sys(format!("waiting for process {pid}"), e));
        }
    }
}
