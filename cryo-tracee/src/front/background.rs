//! A process that goes on when the command has ended: it holds something for others, and waits for them and for signals.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::pipe::{PipeFlags, pipe_with};

use super::foreground::SignalFd;
use super::namespace::Event;
use crate::error::Context;
use crate::host::CloneArgs;
use crate::signals::Ended;
use crate::{Error, Result, fds, proc};

/// Does `work` in a process of a session of its own, which ends with the exit code that it returns. What it writes into its argument is read from what is
/// returned. Nobody waits for it.
pub fn start(work: impl FnOnce(File) -> i32) -> Result<File> {
    proc::one_thread("starting a process of its own")?;
    let (hear, tell) = pipe_with(PipeFlags::CLOEXEC).about(|| "making a pipe".into())?;
    // SAFETY: we have one thread, as was just seen, so the child may go on in ordinary code.
    match unsafe { libc::fork() } {
        -1 => Err(Error::last("starting a process of its own")),
        0 => {
            drop(hear);
            // SAFETY: takes nothing; a child that was just forked leads no process group.
            unsafe { libc::setsid() };
            std::process::exit(work(tell.into()))
        }
        _ => Ok(hear.into()),
    }
}

/// Of all that this process has inherited it keeps these descriptors and its standard error. It was forked, and nothing that owns the others ever comes back.
pub fn keep_only(fds: &[BorrowedFd<'_>]) -> Result<()> {
    let null = File::options().read(true).write(true).open("/dev/null").about(|| "opening /dev/null".into())?;
    for standard in [rustix::stdio::dup2_stdin, rustix::stdio::dup2_stdout] {
        standard(&null).about(|| "replacing a standard descriptor".into())?;
    }
    for fd in proc::descriptors(std::process::id() as i32)? {
        if fd > 2 && fd != null.as_raw_fd() && fds.iter().all(|kept| kept.as_raw_fd() != fd) {
            // SAFETY: a number, and whoever owns the descriptor uses it no more, as is said above.
            unsafe { libc::close(fd) };
        }
    }
    Ok(())
}

/// Has a second process of ours do `work`, and end with the exit code that it returns; it has the same table of descriptors as we have, now and later, which is
/// closed when both have ended. Returns who it is.
pub fn twin(work: impl FnOnce() -> i32) -> Result<OwnedFd> {
    proc::one_thread("starting a process of its own")?;
    let args = CloneArgs { flags: libc::CLONE_FILES as u64, exit_signal: libc::SIGCHLD as u64, ..CloneArgs::default() };
    // SAFETY: without CLONE_VM this is fork(2), and we have one thread.
    match unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<CloneArgs>()) } {
        -1 => Err(Error::last("starting a process of its own")),
        0 => {
            let code = work();
            // SAFETY: ends this process. What it owns in its memory it leaves as it is: the descriptors are the other's, too.
            unsafe { libc::_exit(code) }
        }
        twin => fds::pidfd(twin as i32),
    }
}

/// All signals: from here on none of them does anything but to be read.
pub struct Signals(SignalFd);

impl Signals {
    /// Blocks them.
    pub fn block() -> Result<Self> {
        SignalFd::all().map(Self)
    }

    /// Those that have come since it was asked last: their numbers. One that comes twice may be told once.
    pub fn come(&self) -> Result<Vec<i32>> {
        let mut all = Vec::new();
        let mut info = [0_u8; size_of::<libc::signalfd_siginfo>()];
        loop {
            match (&self.0.0).read(&mut info) {
                // ssi_signo is the first word.
                Ok(_) => all.push(i32::from_le_bytes([info[0], info[1], info[2], info[3]])),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(all),
                Err(e) => return Err(Error::sys("reading signals", e)),
            }
        }
    }
}

impl AsFd for Signals {
    /// Readable when there are any.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.0.as_fd()
    }
}

/// What has become of one of our children since it was asked last: which, and what. `None` if nothing has; nothing is waited for.
pub fn event() -> Option<(i32, Event)> {
    let mut status = 0;
    // SAFETY: the kernel writes one int.
    let child = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG | libc::WUNTRACED | libc::__WALL) };
    let event = if libc::WIFSTOPPED(status) {
        Event::Stopped(libc::WSTOPSIG(status))
    } else {
        Event::Ended(Ended::of(status).code())
    };
    (child > 0).then_some((child, event))
}
