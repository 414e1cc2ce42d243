//! A family that is watched from its first instruction: started under a [`Filter`], traced by one process, the [keeper](start).
//!
//! Each stop is a [`Stopped`] with an [`Event`]; [`Stopped::resume`] lets it go on. The tracer's death is the family's (PTRACE_O_EXITKILL): without one
//! its watched calls would fail with ENOSYS.

mod filter;
mod hosts;
mod listener;
mod start;

use std::io;
use std::mem::{size_of, zeroed};

pub use filter::{Filter, Stops, Watch, When};
pub use listener::{Listener, Question};
pub use start::{Started, alone, start};

use super::stopped::{PTRACE_EVENT_STOP, Stopped};
use crate::sys::{self, Fault, Request, Wait};
use crate::{Error, Result, proc, signals};

/// What every thread of a watched family is traced with.
pub(crate) const OPTIONS: i32 = libc::PTRACE_O_EXITKILL
    | libc::PTRACE_O_TRACESYSGOOD
    | libc::PTRACE_O_TRACESECCOMP
    | libc::PTRACE_O_TRACEFORK
    | libc::PTRACE_O_TRACEVFORK
    | libc::PTRACE_O_TRACECLONE
    | libc::PTRACE_O_TRACEEXEC;

/// A system call that is about to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// Is it one of 32-bit code, or `int 0x80`?
    pub i386: bool,
    /// Its number there.
    pub number: u32,
    /// Its arguments.
    pub args: [u64; 6],
    /// Does its [`Watch`] want the result?
    pub result: bool,
}

/// Why a thread has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It is about to make a watched call.
    Call(Call),
    /// The call that it was let go for has this result, a negative errno if it failed.
    Result(i64),
    /// It has made this process or thread.
    Born(i32),
    /// It executes another program now; it was this thread before.
    Executed(i32),
    /// This signal is about to be delivered.
    Signal(i32),
    /// Its process stops, by this signal of job control.
    JobControl(i32),
    /// It stands still: it has just been born, or was asked to.
    Still,
}

/// What the family did next.
#[allow(clippy::large_enum_variant)] // it is taken apart at once, and one is made for each stop
pub enum Next {
    /// A thread has stopped.
    Stopped(Stopped, Event),
    /// A thread has ended, with this wait status.
    Ended(i32, i32),
    /// Nothing, for now.
    Nothing,
    /// Nobody is left.
    Nobody,
}

/// How a stopped thread goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// As it would.
    On,
    /// Until its call has a result.
    ToResult,
    /// With this signal.
    With(i32),
    /// It stays stopped by job control, until SIGCONT.
    Listen,
}

/// The watched family, in the process that traces it.
pub struct Tracees {
    root: i32,
}

impl Tracees {
    /// Those that we trace already; `root` is the first of them.
    pub fn of(root: i32) -> Self {
        Self { root }
    }

    /// The process that was started.
    pub fn root(&self) -> i32 {
        self.root
    }

    /// What the family did next, if it did something.
    pub fn next_event(&mut self) -> Result<Next> {
        let mut status = 0;
        // SAFETY: the kernel writes one int.
        let tid = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL | libc::WNOHANG) };
        match tid {
            0 => return Ok(Next::Nothing),
            -1 => {
                let e = io::Error::last_os_error();
                return match e.raw_os_error() {
                    Some(libc::ECHILD) => Ok(Next::Nobody),
                    Some(libc::EINTR) => Ok(Next::Nothing),
                    _ => Err(Error::sys("waiting for the watched family", e)),
                };
            }
            _ => {}
        }
        let event = match sys::decode(status) {
            Wait::Ended(status) => return Ok(Next::Ended(tid, status)),
            Wait::Signal(signal) => Event::Signal(signal),
            Wait::Syscall => match info(tid) {
                Some(Info { op: Info::EXIT, words, .. }) => Event::Result(words[0] as i64),
                _ => Event::Still,
            },
            Wait::Event(libc::PTRACE_EVENT_SECCOMP, _) => match info(tid) {
                Some(Info { op: Info::SECCOMP, arch, words, data, .. }) => Event::Call(Call {
                    i386: arch == filter::ARCH_I386,
                    number: words[0] as u32,
                    args: [words[1], words[2], words[3], words[4], words[5], words[6]],
                    result: data & filter::RESULT != 0,
                }),
                _ => Event::Still,
            },
            Wait::Event(PTRACE_EVENT_STOP, libc::SIGTRAP) => Event::Still,
            Wait::Event(PTRACE_EVENT_STOP, signal) => Event::JobControl(signal),
            Wait::Event(libc::PTRACE_EVENT_EXEC, _) => {
                Event::Executed(sys::event_message(tid).map_or(tid, |t| t as i32))
            }
            Wait::Event(..) => match sys::event_message(tid) {
                Some(child) => Event::Born(child as i32),
                None => Event::Still,
            },
        };
        Ok(Next::Stopped(Stopped::watched(tid, tid), event))
    }

    /// Asks a thread to stand still; false if it is gone.
    pub fn interrupt(&self, tid: i32) -> bool {
        sys::ptrace(Request::Interrupt, tid, 0, 0, Fault::Never).is_ok()
    }

    /// This thread, if it stands still and nobody has it.
    pub fn standing(&self, tid: i32) -> Option<Stopped> {
        stands(tid).then(|| Stopped::watched(tid, tid))
    }

    /// Lets a thread go on that stands still, or leaves it stopped by job control, and tells of that.
    pub fn go_on(&self, thread: Stopped) {
        let how = if stopped_by(thread.tid()) == 0 { Resume::On } else { Resume::Listen };
        thread.resume(how);
    }
}

/// Is this thread one that we trace, and does it stand still, in an event stop? The kernel answers only then.
pub(crate) fn stands(tid: i32) -> bool {
    // struct siginfo: signal, errno, code. In an event stop the code is the signal with the event above it.
    sys::siginfo(tid).is_ok_and(|info| info[9] == PTRACE_EVENT_STOP as u8 && info[10] == 0)
}

/// The signal of job control by which a thread that [stands](stands) is stopped; 0 for none.
pub(crate) fn stopped_by(tid: i32) -> i32 {
    let signal = sys::siginfo(tid).map_or(0, |info| i32::from(info[0]));
    if signal == libc::SIGTRAP { 0 } else { signal }
}

/// Is this thread traced by this very thread of ours?
pub(crate) fn is_ours(tid: i32) -> bool {
    proc::Status::of(tid).is_ok_and(|s| s.number("TracerPid") == Some(rustix::thread::gettid().as_raw_pid() as u64))
}

impl Stopped {
    /// Lets a watched thread go on. One that is gone was killed: its end is told.
    pub fn resume(self, how: Resume) {
        let (request, signal) = match how {
            Resume::On => (Request::Cont, 0),
            Resume::ToResult => (Request::Syscall, 0),
            Resume::With(signal) => (Request::Cont, signal),
            Resume::Listen => (Request::Listen, 0),
        };
        let _ = sys::ptrace(request, self.tid(), 0, signal as usize, Fault::Never);
        self.forget();
    }

    /// It stays where it is, and [`Tracees::standing`] finds it again.
    pub fn leave(self) {
        self.forget();
    }

    /// Bytes of its memory, as many as are there.
    pub fn peek(&self, addr: u64, buf: &mut [u8]) -> usize {
        let local = libc::iovec { iov_base: buf.as_mut_ptr().cast(), iov_len: buf.len() };
        let remote = libc::iovec { iov_base: addr as *mut libc::c_void, iov_len: buf.len() };
        // SAFETY: `local` is `buf`; the kernel checks `remote` in the other process.
        let n = unsafe { libc::process_vm_readv(self.tid(), &raw const local, 1, &raw const remote, 1, 0) };
        n.max(0) as usize
    }

    /// Writes bytes into its memory; false if not all of them could be.
    pub fn poke(&self, addr: u64, bytes: &[u8]) -> bool {
        let local = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        let remote = libc::iovec { iov_base: addr as *mut libc::c_void, iov_len: bytes.len() };
        // SAFETY: `local` is `bytes`, which the kernel only reads; it checks `remote` in the other process.
        let n = unsafe { libc::process_vm_writev(self.tid(), &raw const local, 1, &raw const remote, 1, 0) };
        n == bytes.len() as isize
    }

    /// The call that a signal or a stop has interrupted, if the kernel would make it again, or have it fail where a handler is called without SA_RESTART.
    pub fn interrupted(&self) -> Option<Call> {
        const ERESTARTSYS: i64 = 512;
        let regs = self.regs().ok().filter(|regs| regs.rax as i64 == -ERESTARTSYS)?;
        let i386 = info(self.tid())?.arch == filter::ARCH_I386;
        Some(Call { i386, number: regs.orig_rax as u32, args: [0; 6], result: false })
    }

    /// The siginfo_t of the signal that is about to be delivered.
    pub fn siginfo(&self) -> Option<[u8; 128]> {
        sys::siginfo(self.tid()).ok()
    }

    /// Sets it.
    pub fn set_siginfo(&self, info: &[u8; 128]) -> bool {
        // SAFETY: the kernel reads a siginfo_t, which has 128 bytes.
        unsafe { libc::ptrace(libc::PTRACE_SETSIGINFO, self.tid(), 0, info.as_ptr()) == 0 }
    }

    /// A string in its memory, at most PATH_MAX bytes of it; none where there is none.
    pub fn peek_string(&self, addr: u64) -> Option<Vec<u8>> {
        let (mut text, mut at) = (Vec::new(), addr);
        while text.len() < libc::PATH_MAX as usize {
            // To the end of a page: the next one may be missing.
            let mut buf = [0; 256];
            let piece = (4096 - (at as usize & 4095)).min(buf.len());
            let n = self.peek(at, &mut buf[..piece]);
            if n == 0 {
                return None;
            }
            if let Some(end) = buf[..n].iter().position(|b| *b == 0) {
                text.extend_from_slice(&buf[..end]);
                return Some(text);
            }
            text.extend_from_slice(&buf[..n]);
            at += n as u64;
        }
        Some(text)
    }
}

/// `struct ptrace_syscall_info` (linux/ptrace.h): the words of its union, and what a filter said.
struct Info {
    op: u8,
    arch: u32,
    words: [u64; 7],
    data: u32,
}

impl Info {
    const EXIT: u8 = 2;
    const SECCOMP: u8 = 3;
}

fn info(tid: i32) -> Option<Info> {
    #[repr(C)]
    struct Raw {
        op: u8,
        pad: [u8; 3],
        arch: u32,
        ip: u64,
        sp: u64,
        words: [u64; 7],
        data: u32,
        reserved: u32,
    }
    const PTRACE_GET_SYSCALL_INFO: libc::c_uint = 0x420e;
    // SAFETY: numbers only, of which every bit pattern is one.
    let mut raw: Raw = unsafe { zeroed() };
    // SAFETY: the kernel writes at most size_of::<Raw>() bytes into `raw`.
    let n = unsafe { libc::ptrace(PTRACE_GET_SYSCALL_INFO, tid, size_of::<Raw>(), &raw mut raw) };
    (n > 0).then_some(Info { op: raw.op, arch: raw.arch, words: raw.words, data: raw.data })
}

/// SIGCHLD as something that can be polled; whatever else is sent to this process to end it is ignored from here on. Not blocked: a SIGTERM that comes
/// during a freeze gives that up ([`signals::asked_to_end`]).
pub fn children_signal() -> Result<std::fs::File> {
    use std::os::fd::FromRawFd;
    for signal in [
        libc::SIGTERM,
        libc::SIGINT,
        libc::SIGHUP,
        libc::SIGQUIT,
        libc::SIGPIPE,
        libc::SIGXFSZ,
        libc::SIGUSR1,
        libc::SIGUSR2,
    ] {
        // SAFETY: SIG_IGN is no handler.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    signals::release();
    // SAFETY: plain data, initialised by sigemptyset; this thread's mask is set, and a descriptor made that nobody else owns.
    let fd = unsafe {
        let mut set: libc::sigset_t = zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
        libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
    };
    if fd < 0 {
        return Err(Error::last("making a signalfd"));
    }
    // SAFETY: as above.
    Ok(unsafe { std::fs::File::from_raw_fd(fd) })
}
