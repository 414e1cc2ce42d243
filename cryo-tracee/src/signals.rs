//! Signals to and from the processes we deal with.

use std::fs::File;
use std::io::{self, Read};
use std::mem::zeroed;
use std::os::fd::FromRawFd;
use std::ptr;

use rustix::event::{PollFd, PollFlags, poll};

use crate::namespace::{Event, Namespace};
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

/// Who looks after the terminal while a program stands in our place.
pub trait Stand {
    /// The program was stopped; we will be, too.
    fn stopped(&mut self);
    /// We go on, and the program will.
    fn continued(&mut self);
    /// Does the program lead a process group of its own?
    fn leads(&self) -> bool;
}

/// Both of us stop, and go on together.
fn pause(child: i32, stand: &mut Option<&mut dyn Stand>) {
    if let Some(s) = stand {
        s.stopped();
    }
    stop_ourselves();
    go_on(child, stand);
}

fn go_on(child: i32, stand: &mut Option<&mut dyn Stand>) {
    let mut group = false;
    if let Some(s) = stand {
        s.continued();
        group = s.leads();
    }
    let _ = kill(if group { -child } else { child }, libc::SIGCONT);
}

/// Stands before a child as if we were it: passes signals on, stops and continues with it, returns its exit code in the shell's manner.
///
/// A signal from the terminal reaches the child by itself, since it is in our process group; one that was sent to us by kill(2) is sent on.
pub fn stand_before(child: i32, mut stand: Option<&mut dyn Stand>) -> Result<i32> {
    let signals = SignalFd::all()?;
    loop {
        let mut status = 0;
        // SAFETY: the kernel writes one int.
        let r = unsafe { libc::waitpid(child, &raw mut status, libc::WNOHANG | libc::WUNTRACED) };
        if r == child && !libc::WIFSTOPPED(status) {
            return Ok(Ended::of(status).code());
        }
        if r == child {
            pause(child, &mut stand);
        } else if r == -1 && io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
            return Err(Error::last(format!("waiting for process {child}")));
        } else {
            signals.wait(None)?;
            signals.pass_on(child, &mut stand)?;
        }
    }
}

/// The same for a program in a namespace of its own, of which init tells.
pub fn stand_before_namespace(mut namespace: Namespace, mut stand: Option<&mut dyn Stand>) -> Result<i32> {
    let signals = SignalFd::all()?;
    loop {
        if !signals.wait(Some(namespace.events()))? {
            signals.pass_on(namespace.pid, &mut stand)?;
            continue;
        }
        match namespace.event()? {
            Some(Event::Ended(code)) => return Ok(code),
            Some(Event::Stopped) => {
                pause(namespace.pid, &mut stand);
            }
            None => return Err(Error::Died(namespace.pid)),
        }
    }
}

/// All signals, as something that can be read.
struct SignalFd(File);

impl SignalFd {
    fn all() -> Result<Self> {
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

    /// Waits for a signal or for `other`; true if it is `other`.
    fn wait(&self, other: Option<&File>) -> Result<bool> {
        let mut fds = vec![PollFd::new(&self.0, PollFlags::IN)];
        fds.extend(other.map(|o| PollFd::new(o, PollFlags::IN)));
        match poll(&mut fds, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(fds.get(1).is_some_and(|f| !f.revents().is_empty())),
            Err(e) => Err(Error::sys("waiting for signals", e)),
        }
    }

    /// Sends on to `child` what was sent to us by kill(2) and its like.
    fn pass_on(&self, child: i32, stand: &mut Option<&mut dyn Stand>) -> Result<()> {
        let mut info = [0_u8; size_of::<libc::signalfd_siginfo>()];
        loop {
            match (&self.0).read(&mut info) {
                Ok(_) => {
                    // ssi_signo and ssi_code: the first and third word.
                    let word = |i: usize| i32::from_le_bytes([info[i], info[i + 1], info[i + 2], info[i + 3]]);
                    let (signal, code) = (word(0), word(8));
                    if signal == libc::SIGCONT {
                        go_on(child, stand);
                    } else if signal != libc::SIGCHLD && (code <= 0 || in_another_session(child)) {
                        let _ = kill(child, signal);
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(Error::sys("reading signals", e)),
            }
        }
    }
}

/// Then no signal of our terminal reaches it by itself.
fn in_another_session(pid: i32) -> bool {
    // SAFETY: takes a number.
    unsafe { libc::getsid(pid) != libc::getsid(0) }
}

/// Stops this process, so that the shell that waits for us sees its job stopped.
fn stop_ourselves() {
    // SAFETY: takes two numbers. SIGSTOP cannot be blocked, so this returns after a SIGCONT.
    unsafe { libc::kill(libc::getpid(), libc::SIGSTOP) };
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
