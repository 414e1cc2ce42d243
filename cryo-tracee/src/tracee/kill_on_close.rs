//! A process that shall not outlive our descriptors.
//!
//! What ends with its tracer (PTRACE_O_EXITKILL) or its parent (PR_SET_PDEATHSIG) is killed after the kernel has closed the descriptors of the one who ended. This
//! comes before: the writing end of a pipe is closed, and the reading end, which asks for a signal then (O_ASYNC, with F_SETOWN and F_SETSIG), sends SIGKILL
//! from within. A process that has a SIGKILL pending executes no instruction of its own any more, whatever it would find in its memory.
//!
//! An ending process closes its descriptors from the first to the last, and the kernel may be done with the last one first: so there is a pipe at each end,
//! and what is guarded has a number in [between](BETWEEN).

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::io::fcntl_dupfd_cloexec;
use rustix::pipe::{PipeFlags, pipe_with};

use crate::error::Context;
use crate::{Error, Result};

/// The least number of descriptors that are guarded, and that of what closes behind them.
pub const BETWEEN: i32 = 128;
const ABOVE: i32 = 900;
const F_SETSIG: i32 = 10;

/// Whoever of us closes it last kills. Dropping it does, too.
pub struct KillOnClose {
    /// Of each the writing end first.
    ends: [[OwnedFd; 2]; 2],
}

impl KillOnClose {
    /// Process `pid` is killed when all who have our descriptors have closed them.
    pub fn of(pid: i32) -> Result<Self> {
        let about = || "having a process killed when our descriptors are closed".to_owned();
        let pipe = |reading: i32, writing: i32| -> Result<[OwnedFd; 2]> {
            let (read, write) = pipe_with(PipeFlags::CLOEXEC).about(about)?;
            let read = fcntl_dupfd_cloexec(&read, reading).about(about)?;
            let write = fcntl_dupfd_cloexec(&write, writing).about(about)?;
            for (command, argument) in
                [(libc::F_SETOWN, pid), (F_SETSIG, libc::SIGKILL), (libc::F_SETFL, libc::O_ASYNC)]
            {
                // SAFETY: takes numbers.
                if unsafe { libc::fcntl(read.as_raw_fd(), command, argument) } < 0 {
                    return Err(Error::last(about()));
                }
            }
            Ok([write, read])
        };
        Ok(Self { ends: [pipe(ABOVE - 64, 3)?, pipe(3, ABOVE)?] })
    }

    /// Nobody is killed any more.
    pub fn disarm(&self) {
        for [_, read] in &self.ends {
            // SAFETY: takes numbers.
            unsafe { libc::fcntl(read.as_raw_fd(), libc::F_SETFL, 0) };
        }
    }

    /// Kills at once, unless it was disarmed.
    pub fn kill(&self) {
        let [write, _] = &self.ends[0];
        let _ = rustix::io::write(write, b"!");
    }
}
