//! In the foreground: signals that reach the command are passed on to the thawed program, the two stop and go on together, and its exit
//! status becomes ours.

use std::fs::File;
use std::io::{self, Read};
use std::mem::zeroed;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd};
use std::ptr;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::namespace::{Event, Namespace};
use crate::signals::{self, Ended, is_pending, kill};
use crate::{Error, Result, proc};

/// What is done with the terminal when the program in the foreground stops and goes on.
pub trait ForegroundTerminal {
    /// The program was stopped by this signal. True if it shall go on at once; else we stop, too.
    fn stopped(&mut self, signal: i32) -> bool;
    /// We go on, and the program will.
    fn continued(&mut self);
    /// Does the program lead a process group of its own?
    fn leads(&self) -> bool;
}

/// Who else has a say while we stand before a program.
pub trait Besides {
    /// A signal was sent to us, and would be passed on. True if it is for us, and stays here.
    fn takes(&mut self, signal: i32) -> bool;
    /// Asked whenever something has happened, and when the time is over that the last answer gave: how long to wait at most.
    fn look(&mut self) -> Option<Duration>;
}

/// Nobody has.
struct Nobody;

impl Besides for Nobody {
    fn takes(&mut self, _signal: i32) -> bool {
        false
    }

    fn look(&mut self) -> Option<Duration> {
        None
    }
}

/// Both of us stop, and go on together.
fn pause(child: i32, signal: i32, terminal: &mut Option<&mut dyn ForegroundTerminal>) {
    if terminal.as_mut().is_some_and(|t| t.stopped(signal)) {
        let _ = kill(all_of(child, terminal), libc::SIGCONT);
        return;
    }
    // In a script the shell sees its own child stopped, and `fg` may come before we have heard of ours: SIGSTOP would take its SIGCONT away,
    // and nobody would send another one.
    if !is_pending(libc::SIGCONT) {
        stop_ourselves();
    }
    go_on(child, terminal);
}

fn go_on(child: i32, terminal: &mut Option<&mut dyn ForegroundTerminal>) {
    if let Some(t) = terminal {
        t.continued();
    }
    let _ = kill(all_of(child, terminal), libc::SIGCONT);
}

/// Whom a signal of the terminal concerns: the program's group, if it leads one.
fn all_of(child: i32, terminal: &Option<&mut dyn ForegroundTerminal>) -> i32 {
    if terminal.as_ref().is_some_and(|t| t.leads()) { -child } else { child }
}

/// Stands before a child as if we were it: passes signals on, stops and continues with it, returns its exit code in the shell's manner.
///
/// A signal from the terminal reaches the child by itself if it is in our process group; all others are sent on.
pub fn wait_for(child: i32, terminal: Option<&mut dyn ForegroundTerminal>) -> Result<i32> {
    wait_besides(child, terminal, &mut Nobody)
}

/// The same, while somebody else has a say, too.
pub fn wait_besides(
    child: i32,
    mut terminal: Option<&mut dyn ForegroundTerminal>,
    besides: &mut dyn Besides,
) -> Result<i32> {
    let signals = SignalFd::all()?;
    loop {
        // First: what is done there may take a SIGCHLD away.
        let limit = besides.look();
        let mut status = 0;
        // SAFETY: the kernel writes one int.
        let r = unsafe { libc::waitpid(child, &raw mut status, libc::WNOHANG | libc::WUNTRACED) };
        if r == child && !libc::WIFSTOPPED(status) {
            return Ok(Ended::of(status).code());
        }
        if r == child {
            pause(child, libc::WSTOPSIG(status), &mut terminal);
        } else if r == -1 && io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
            return Err(Error::last(format!("waiting for process {child}")));
        } else {
            signals.wait(None, limit)?;
            signals.pass_on(child, &mut terminal, besides)?;
        }
    }
}

/// Has a child of ours do `work`, which blocks no signal, whatever we do, and ends with the exit code that it returns. Returns its pid.
pub fn child(work: impl FnOnce() -> i32) -> Result<i32> {
    proc::one_thread("starting a process")?;
    // SAFETY: we have one thread, as was just seen, so the child may go on in ordinary code.
    match unsafe { libc::fork() } {
        -1 => Err(Error::last("starting a process")),
        0 => {
            signals::release();
            std::process::exit(work())
        }
        child => Ok(child),
    }
}

/// Stands before a process that is not our child, and sends signals on to it, until `end` can be read.
pub fn stand_before(pid: i32, end: impl AsFd) -> Result<()> {
    let signals = SignalFd::all()?;
    while !signals.wait(Some(end.as_fd()), None)? {
        signals.pass_on(pid, &mut None, &mut Nobody)?;
    }
    Ok(())
}

/// [`wait_for`] for a program in a namespace of its own, of which init tells.
pub fn wait_for_namespace(namespace: &mut Namespace, mut terminal: Option<&mut dyn ForegroundTerminal>) -> Result<i32> {
    let signals = SignalFd::all()?;
    loop {
        if !signals.wait(Some(namespace.events().as_fd()), None)? {
            signals.pass_on(namespace.pid, &mut terminal, &mut Nobody)?;
            continue;
        }
        match namespace.event()? {
            Some(Event::Ended(code)) => return Ok(code),
            // One that is over when we hear of it has been heard of by the shell, too.
            Some(Event::Stopped(signal)) => {
                if proc::state(namespace.pid).is_some_and(|s| s.starts_with(['T', 'Z'])) {
                    pause(namespace.pid, signal, &mut terminal);
                }
            }
            None => return Err(Error::Died(namespace.pid)),
        }
    }
}

/// Waits for all children that we still have: as a subreaper, for those whose parent was the program. Signals are ours again.
pub fn wait_for_rest() -> Result<()> {
    signals::release();
    loop {
        // SAFETY: no status is asked for.
        if unsafe { libc::waitpid(-1, ptr::null_mut(), libc::__WALL) } == -1 {
            match io::Error::last_os_error() {
                e if e.raw_os_error() == Some(libc::EINTR) => {}
                e if e.raw_os_error() == Some(libc::ECHILD) => return Ok(()),
                e => return Err(Error::sys("waiting for what is left of the family", e)),
            }
        }
    }
}

/// The same for a namespace, which ends with its last process.
pub fn wait_for_rest_of(namespace: &mut Namespace) -> Result<()> {
    signals::release();
    while namespace.event()?.is_some() {}
    Ok(())
}

/// All signals, as something that can be read.
pub(super) struct SignalFd(pub(super) File);

impl SignalFd {
    pub(super) fn all() -> Result<Self> {
        // SAFETY: plain data, initialised by sigfillset; then this thread's mask is set, and a descriptor made that nobody else owns.
        let fd = unsafe {
            let mut all: libc::sigset_t = zeroed();
            libc::sigfillset(&raw mut all);
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, ptr::null_mut());
            libc::signalfd(-1, &raw const all, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
        };
        if fd < 0 {
            return Err(Error::last("making a signalfd"));
        }
        // SAFETY: as above.
        Ok(Self(unsafe { File::from_raw_fd(fd) }))
    }

    /// Waits for a signal or for `other`, or as long as `limit` says; true if it is `other`.
    fn wait(&self, other: Option<BorrowedFd<'_>>, limit: Option<Duration>) -> Result<bool> {
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        let mut fds = vec![PollFd::new(&self.0, PollFlags::IN)];
        fds.extend(other.map(|o| PollFd::from_borrowed_fd(o, PollFlags::IN)));
        match poll(&mut fds, limit.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(fds.get(1).is_some_and(|f| !f.revents().is_empty())),
            Err(e) => Err(Error::sys("waiting for signals", e)),
        }
    }

    /// Sends on to `child` what was sent to us by kill(2) and its like, and what the terminal sent to us alone.
    fn pass_on(
        &self,
        child: i32,
        terminal: &mut Option<&mut dyn ForegroundTerminal>,
        besides: &mut dyn Besides,
    ) -> Result<()> {
        let mut info = [0_u8; size_of::<libc::signalfd_siginfo>()];
        loop {
            match (&self.0).read(&mut info) {
                Ok(_) => {
                    // ssi_signo and ssi_code: the first and third word.
                    let word = |i: usize| i32::from_le_bytes([info[i], info[i + 1], info[i + 2], info[i + 3]]);
                    let (signal, code) = (word(0), word(8));
                    if signal == libc::SIGCONT {
                        go_on(child, terminal);
                    } else if signal != libc::SIGCHLD && code <= 0 {
                        if !besides.takes(signal) {
                            let _ = kill(child, signal);
                        }
                    } else if signal != libc::SIGCHLD && in_another_group(child) {
                        let _ = kill(all_of(child, terminal), signal);
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(Error::sys("reading signals", e)),
            }
        }
    }
}

/// Then no signal that the terminal sends to us reaches it by itself.
fn in_another_group(pid: i32) -> bool {
    // SAFETY: takes a number.
    unsafe { libc::getpgid(pid) != libc::getpgrp() }
}

/// Stops this process, so that the shell that waits for us sees its job stopped.
fn stop_ourselves() {
    // SAFETY: takes two numbers. SIGSTOP cannot be blocked, so this returns after a SIGCONT.
    unsafe { libc::kill(libc::getpid(), libc::SIGSTOP) };
}
