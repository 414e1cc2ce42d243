//! How a thread is sent off, and what it is waited for.

use std::time::{Duration, Instant};

use super::Stopped;
use super::borrowed::Original;
use crate::error::refuse;
use crate::fault::Undoing;
use crate::sys::{self, Fault, Request, Wait};
use crate::tracee::arch::code::Entry;
use crate::tracee::children::is_birth;
use crate::{Error, RefusalKind, Result};

pub const PTRACE_EVENT_STOP: i32 = 128;

impl Stopped {
    /// How a thread is sent off so that its event is seen.
    pub(crate) fn request(&self) -> Request {
        match &self.original {
            Some(Original { event: 0, self_restoring: Some(_), .. }) => Request::Syscall,
            _ => Request::Cont,
        }
    }

    /// Waits for the event that ends calls.
    pub(crate) fn wait_event(&mut self) -> Result<()> {
        match &self.original {
            Some(Original { self_restoring: Some(code), event, .. }) => {
                self.wait_for(self.request(), *event, Some(code + Entry::Event.offset()), false)
            }
            _ => self.wait_trap(Request::Cont),
        }
    }

    /// Waits until it has made a child, lets it go on, and says which; `None` if the event came first.
    pub(crate) fn wait_child(&mut self) -> Result<Option<i32>> {
        if let Some(Original { self_restoring: Some(code), event, .. }) = &self.original {
            self.wait_for(self.request(), *event, Some(code + Entry::Event.offset()), true)?;
        }
        Ok(self.take_child())
    }

    /// Takes it to an event stop, in which the kernel is ready to apply restarts when it is let go.
    pub(crate) fn stand(&mut self) -> Result<()> {
        sys::ptrace(Request::Interrupt, self.tid, 0, 0, Fault::Counted)?;
        self.go(Request::Cont)?;
        self.settle()
    }

    /// Lets it run, until the next stop, without a signal.
    pub(crate) fn go(&mut self, request: Request) -> Result<()> {
        self.go_on(request, 0, Fault::Counted)
    }

    pub(super) fn go_on(&self, request: Request, signal: i32, fault: Fault) -> Result<()> {
        self.cached_regs.set(None);
        sys::ptrace(request, self.tid, 0, signal as usize, fault).map(drop)
    }

    /// Waits for the SIGTRAP that ends remote calls. `request` is how the thread was sent off, and is sent off again when something
    /// else stops it: a step that became a continue would run on into the program's code.
    pub(crate) fn wait_trap(&mut self, request: Request) -> Result<()> {
        self.wait_for(request, libc::SIGTRAP, None, false)
    }

    /// Waits for a signal: one that the thread caused, or any at the address `at`. 0: for the end of the system call before `at`. Or for a `child`,
    /// and then it is running again.
    fn wait_for(&mut self, request: Request, event: i32, at: Option<u64>, child: bool) -> Result<()> {
        let mut entered = false;
        loop {
            match sys::wait(self.tid)? {
                Wait::Signal(signal) => {
                    if at.is_some() && signal == event && Some(self.rip()?) == at {
                        return Ok(());
                    }
                    if matches!(signal, libc::SIGTRAP | libc::SIGSEGV | libc::SIGBUS | libc::SIGILL | libc::SIGSYS) {
                        let info = sys::siginfo(self.tid).unwrap_or([0; 128]);
                        let code = i32::from_le_bytes([info[8], info[9], info[10], info[11]]);
                        // What the thread itself has caused, and nobody has sent.
                        if code > 0 {
                            if signal == event {
                                return Ok(());
                            }
                            let (kind, why) = match signal {
                                libc::SIGSYS => (RefusalKind::Seccomp, " (its seccomp filter forbids it)"),
                                _ => (RefusalKind::Thread, ""),
                            };
                            let pid = self.pid;
                            let text =
                                format!("a system call made inside process {pid} was answered by signal {signal}{why}");
                            return refuse(kind, text);
                        }
                    }
                    // SIGSTOP cannot be blocked, and SIGTRAP is not; it is given back when the thread is let go.
                    self.held.push(signal);
                    self.go_on(request, 0, Fault::Never)?;
                }
                stop @ (Wait::Event(..) | Wait::Syscall) => {
                    if is_birth(stop) {
                        self.child = sys::event_message(self.tid).map(|pid| pid as i32);
                    }
                    if stop == Wait::Syscall && event == 0 && Some(self.rip()?) == at {
                        if entered {
                            return Ok(());
                        }
                        entered = true;
                    }
                    self.go_on(request, 0, Fault::Never)?;
                    if child && self.child.is_some() {
                        return Ok(());
                    }
                }
                Wait::Ended(_) => return Err(Error::Died(self.pid)),
            }
        }
    }

    /// Where it stands behind calls that have been made. It is not counted as an operation that may be made to fail: what the calls made (a
    /// mapping, a process) would be lost, and there is one such look at each stop.
    fn rip(&self) -> Result<u64> {
        let _not_counted = Undoing::begin();
        Ok(self.regs()?.rip)
    }

    /// Lets it run on for a moment, as the program that it is.
    pub(crate) fn run_on(&mut self, moment: Duration) -> Result<()> {
        self.go(Request::Cont)?;
        let begin = Instant::now();
        while begin.elapsed() < moment {
            std::thread::yield_now();
        }
        self.mask.set(None);
        sys::ptrace(Request::Interrupt, self.tid, 0, 0, Fault::Never)?;
        self.settle()
    }

    /// Runs it on to its next event stop, delivering signals on the way, so that registers are stable and the kernel is ready to
    /// apply restarts when it is let go.
    pub(crate) fn settle(&mut self) -> Result<()> {
        loop {
            match sys::wait(self.tid)? {
                Wait::Event(PTRACE_EVENT_STOP, signal) => {
                    self.stopped_by = if signal == libc::SIGTRAP { 0 } else { signal };
                    return Ok(());
                }
                // A signal that was just about to be delivered: let it be. The kernel builds the handler's frame and stops again at once.
                Wait::Signal(signal) => {
                    self.go_on(Request::Cont, signal, Fault::Never)?;
                }
                Wait::Event(..) | Wait::Syscall => {
                    self.go_on(Request::Cont, 0, Fault::Never)?;
                }
                Wait::Ended(_) => return Err(Error::Died(self.tid)),
            }
        }
    }

    /// Executes one instruction of the thread's own.
    pub fn step(&mut self) -> Result<()> {
        self.go(Request::SingleStep)?;
        self.wait_trap(Request::SingleStep)
    }

    /// Executes one system call of the thread's own, without a trap.
    pub(crate) fn step_by_syscall(&mut self) -> Result<()> {
        for _ in 0..2 {
            self.go(Request::Syscall)?;
            loop {
                match sys::wait(self.tid)? {
                    Wait::Syscall => break,
                    Wait::Signal(signal) => self.held.push(signal),
                    Wait::Event(..) => {}
                    Wait::Ended(_) => return Err(Error::Died(self.pid)),
                }
                self.go_on(Request::Syscall, 0, Fault::Never)?;
            }
        }
        Ok(())
    }

    /// Makes the call that the registers are set for (`rip` at a `syscall` instruction) and interrupts it at once, if it sleeps. Afterwards the
    /// thread is in an event stop and, if the call was one of those, the kernel holds its restart block.
    pub fn begin_call(&mut self) -> Result<()> {
        self.go(Request::Syscall)?;
        match sys::wait(self.tid)? {
            Wait::Syscall => {}
            other => {
                return refuse(
                    RefusalKind::Thread,
                    format!("thread {} did not enter its system call: {other:?}", self.tid),
                );
            }
        }
        sys::ptrace(Request::Interrupt, self.tid, 0, 0, Fault::Counted)?;
        self.go(Request::Cont)?;
        self.settle()
    }
}
