//! Signals to and from the processes we deal with.

use std::io;
use std::mem::zeroed;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
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

    /// By a status of wait(2).
    pub fn of(status: i32) -> Self {
        if libc::WIFSIGNALED(status) {
            Self::Signal(libc::WTERMSIG(status))
        } else {
            Self::Exit(libc::WEXITSTATUS(status))
        }
    }
}

/// Blocks all signals in this thread. Where it is the only one, they wait from here on to be passed on to the program that we stand before.
pub fn hold() {
    // SAFETY: plain data, initialised by sigfillset; only this thread's mask changes.
    unsafe {
        let mut all: libc::sigset_t = zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, ptr::null_mut());
    }
}

/// Starts a command whose process blocks no signal, whatever [`hold`] has blocked here.
pub fn spawn(command: &mut Command) -> io::Result<Child> {
    // SAFETY: between fork and exec two calls are made that POSIX allows there; the set is plain data, which the first initialises.
    unsafe {
        command.pre_exec(|| {
            let mut none: libc::sigset_t = zeroed();
            libc::sigemptyset(&raw mut none);
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
            Ok(())
        })
    };
    command.spawn()
}

/// Takes that back: what comes, and what has come, is for us.
pub(crate) fn release() {
    // SAFETY: plain data, initialised by sigemptyset; only this thread's mask changes.
    unsafe {
        let mut none: libc::sigset_t = zeroed();
        libc::sigemptyset(&raw mut none);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
    }
}

/// What asks a command to end.
pub(crate) const ENDING: [i32; 4] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT];

/// Has somebody sent the SIGTERM that a guardian, or [`Uninterrupted`], holds back, or another signal of that kind that is held back?
pub fn asked_to_end() -> bool {
    asked().is_some()
}

/// Which one it is.
pub(crate) fn asked() -> Option<i32> {
    ENDING.into_iter().find(|signal| is_pending(*signal))
}

/// Has this signal, which we block, been sent to us?
pub(crate) fn is_pending(signal: i32) -> bool {
    // SAFETY: sigset_t is plain data, which the call fills.
    unsafe {
        let mut set: libc::sigset_t = zeroed();
        libc::sigpending(&raw mut set) == 0 && libc::sigismember(&raw const set, signal) == 1
    }
}

/// Blocks SIGTERM while it lives: a guardian that must not end where it happens to be.
pub struct Uninterrupted {
    _mask: Mask,
}

impl Uninterrupted {
    /// From here on.
    pub fn begin() -> Self {
        Self { _mask: Mask::change(libc::SIG_BLOCK, &[libc::SIGTERM]) }
    }
}

/// Lets SIGTERM, and what else asks to end, end us at once while it lives: where we may be blocked for as long as somebody else likes, and have nothing to clean up.
pub struct Interruptible {
    _mask: Mask,
}

impl Interruptible {
    /// From here on, for one that has come already, too.
    pub fn begin() -> Self {
        Self { _mask: Mask::change(libc::SIG_UNBLOCK, &ENDING) }
    }
}

/// Puts signals back to how this thread had it.
struct Mask {
    before: libc::sigset_t,
}

impl Mask {
    fn change(how: libc::c_int, signals: &[i32]) -> Self {
        // SAFETY: sigset_t is plain data, initialised by the calls; only this thread's mask changes.
        unsafe {
            let mut set: libc::sigset_t = zeroed();
            let mut before: libc::sigset_t = zeroed();
            libc::sigemptyset(&raw mut set);
            for signal in signals {
                libc::sigaddset(&raw mut set, *signal);
            }
            libc::pthread_sigmask(how, &raw const set, &raw mut before);
            Self { before }
        }
    }
}

impl Drop for Mask {
    fn drop(&mut self) {
        // SAFETY: `before` came from pthread_sigmask.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.before, ptr::null_mut()) };
    }
}

/// A signal by its name, where it is one of those that end a command; otherwise by its number.
pub fn name(signal: i32) -> String {
    match signal {
        libc::SIGINT => "SIGINT".into(),
        libc::SIGTERM => "SIGTERM".into(),
        libc::SIGHUP => "SIGHUP".into(),
        libc::SIGQUIT => "SIGQUIT".into(),
        other => format!("signal {other}"),
    }
}

/// How a child of ours has ended; `None` if it has not.
pub(crate) fn ended(pid: i32) -> Result<Option<Ended>> {
    let mut status = 0;
    // SAFETY: the kernel writes one int.
    match unsafe { libc::waitpid(pid, &raw mut status, libc::WNOHANG) } {
        0 => Ok(None),
        -1 => Err(Error::last(format!("waiting for process {pid}"))),
        _ => Ok(Some(Ended::of(status))),
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

/// The pid of its sender in a siginfo_t, if one is in it. In what one process has queued for another (SI_QUEUE) is what that wrote.
pub fn sender(info: &mut [u8]) -> Option<&mut [u8; 4]> {
    const USER: i32 = 0;
    const MESSAGE_QUEUE: i32 = -3;
    const THREAD: i32 = -6;
    let word = |at: usize| info.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, i32::from_le_bytes);
    let (signal, code) = (word(0), word(8));
    let sent = matches!(code, USER | MESSAGE_QUEUE | THREAD) || (signal == libc::SIGCHLD && code > 0);
    if sent { info.get_mut(16..20)?.try_into().ok() } else { None }
}
