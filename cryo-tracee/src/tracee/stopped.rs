//! A thread that stands still.

use std::cell::{Cell, OnceCell};
use std::marker::PhantomData;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::arch::{Regs, i386};
use crate::error::refuse;
use crate::fault::Undoing;
use crate::mem::Memory;
use crate::proc;
use crate::sys::{self, Dispatch, Fault, Request, UserDesc, Wait};
use crate::{RefusalKind, Result};

mod borrowed;
mod seized;
mod waiting;

pub(crate) use borrowed::HarmlessSignals;
use borrowed::{Original, Returning};
pub(crate) use seized::Seized;
pub(super) use waiting::PTRACE_EVENT_STOP;

/// The extended state of a thread as NT_X86_XSTATE gives it, or only the 512 bytes of the legacy area where the CPU has no XSAVE.
pub type Xstate = Vec<u8>;

/// What is kept away while remote calls are made: all but the SIGTRAP that ends them. To force it upon a thread that blocks it, the kernel would
/// take the program's handler away (kernel/signal.c, force_sig_info_to_task).
pub const AWAY: u64 = !bit(libc::SIGTRAP);

const fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

/// A thread in a ptrace stop. It cannot leave the thread that traces it: for the kernel only that one is the tracer.
///
/// Dropping it puts back what was changed and lets the thread go on.
pub struct Stopped {
    tid: i32,
    pid: i32,
    /// Its general registers, if they have been read since it came to stand here.
    cached_regs: Cell<Option<Regs>>,
    /// What it blocks, apart from remote calls, if that has been asked since it came to stand.
    mask: Cell<Option<u64>>,
    /// The same of its registration of rseq: the program does not run meanwhile.
    rseq: OnceCell<Option<(u64, u32, u32)>>,
    /// The signal of a job-control stop that the thread was in; 0 for none.
    stopped_by: i32,
    original: Option<Original>,
    returning: Option<Returning>,
    /// Signals that came while remote calls were made and could not be blocked.
    held: Vec<i32>,
    /// Is it a host's? Then there is nothing that it has to be given back after remote calls: its mask is set for them once, and where it
    /// stands after one, the next begins.
    host: bool,
    /// Does the process ignore SIGTRAP? Each trap that we cause makes that SIG_DFL, see [`Remote`](crate::Remote).
    ignores_traps: bool,
    /// The child that the last clone event told of.
    child: Option<i32>,
    /// Is it of a family that we watch? Then it stays traced when it is let go.
    watched: bool,
    _not_send: PhantomData<*const ()>,
}

impl Stopped {
    /// Seizes and stops thread `tid` of process `pid`.
    pub fn seize(pid: i32, tid: i32) -> Result<Self> {
        let seized = Seized::new(pid, tid)?;
        seized.interrupt()?;
        let mut thread = seized.finish()?;
        thread.look_at_traps()?;
        Ok(thread)
    }

    pub(crate) fn new(pid: i32, tid: i32) -> Self {
        Self {
            tid,
            pid,
            cached_regs: Cell::new(None),
            mask: Cell::new(None),
            rseq: OnceCell::new(),
            stopped_by: 0,
            original: None,
            returning: None,
            held: Vec::new(),
            host: false,
            ignores_traps: false,
            child: None,
            watched: false,
            _not_send: PhantomData,
        }
    }

    /// A thread of a watched family, which stands still.
    pub(super) fn watched(pid: i32, tid: i32) -> Self {
        let mut thread = Self::new(pid, tid);
        thread.watched = true;
        thread
    }

    /// It is of a family that we watch from here on.
    pub(super) fn watch(&mut self) {
        self.watched = true;
    }

    /// Is it of a family that we watch?
    pub fn is_watched(&self) -> bool {
        self.watched
    }

    /// It is let go, or its end is told, elsewhere.
    pub(super) fn forget(self) {
        std::mem::forget(self);
    }

    pub(crate) fn look_at_traps(&mut self) -> Result<()> {
        self.ignores_traps = proc::Status::of(self.tid)?.hex("SigIgn") & bit(libc::SIGTRAP) != 0;
        Ok(())
    }

    /// Does the process ignore SIGTRAP?
    pub fn ignores_traps(&self) -> bool {
        self.ignores_traps
    }

    /// It shall ignore SIGTRAP in the end: a host.
    pub fn ignore_traps(&mut self) {
        self.ignores_traps = true;
    }

    /// Thread id.
    pub fn tid(&self) -> i32 {
        self.tid
    }

    /// Process id.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// The signal of the job-control stop that it was in; 0 for none.
    pub fn stopped_by(&self) -> i32 {
        self.stopped_by
    }

    /// General registers.
    pub fn regs(&self) -> Result<Regs> {
        if let Some(regs) = self.cached_regs.get() {
            return Ok(regs);
        }
        let regs = sys::regs(self.tid)?;
        self.cached_regs.set(Some(regs));
        Ok(regs)
    }

    /// Sets the general registers, for good: what is dropped later leaves them so.
    pub fn set_regs(&mut self, regs: &Regs) -> Result<()> {
        self.cached_regs.set(None); // the kernel may have changed a flag or a selector
        sys::set_regs(self.tid, regs, Fault::Counted)
    }

    /// Extended state.
    pub fn xstate(&self) -> Result<Xstate> {
        // AMX makes it 11 KiB; the kernel cuts at what it has, which is the same for all threads.
        static SIZE: AtomicUsize = AtomicUsize::new(32 << 10);
        let mut buf = vec![0; SIZE.load(Relaxed)];
        let n = match sys::get_regset(self.tid, sys::NT_X86_XSTATE, &mut buf) {
            Ok(n) => n,
            Err(e) if e.errno() == Some(libc::ENODEV) => sys::get_regset(self.tid, sys::NT_PRFPREG, &mut buf)?,
            Err(e) => return Err(e),
        };
        if n < buf.len() {
            SIZE.store(n + 8, Relaxed); // it takes multiples of 8
        }
        buf.truncate(n);
        Ok(buf)
    }

    /// Sets the extended state; `area` must have this CPU's layout and size.
    pub fn set_xstate(&mut self, area: &[u8]) -> Result<()> {
        let set = if area.len() <= 512 { sys::NT_PRFPREG } else { sys::NT_X86_XSTATE };
        sys::set_regset(self.tid, set, area, Fault::Counted)
    }

    /// Blocked signals, bit n-1 for signal n. In sigsuspend and its like: the mask that will hold when it returns.
    pub fn sigmask(&self) -> Result<u64> {
        if let Some(mask) = self.mask.get() {
            return Ok(mask);
        }
        let mask = sys::get_sigmask(self.tid)?;
        self.mask.set(Some(mask));
        Ok(mask)
    }

    /// Sets the blocked signals, for good.
    pub fn set_sigmask(&mut self, mask: u64) -> Result<()> {
        self.mask.set(None);
        sys::set_sigmask(self.tid, mask, Fault::Counted)
    }

    /// rseq registration: address, size, signature. `None` if there is none or the kernel does not tell.
    pub fn rseq(&self) -> Option<(u64, u32, u32)> {
        let ask = || sys::rseq(self.tid).filter(|r| r.0 != 0).map(|(p, size, signature, _)| (p, size, signature));
        *self.rseq.get_or_init(ask)
    }

    /// How its system calls are dispatched to the program itself, apart from remote calls.
    pub fn dispatch(&self) -> Dispatch {
        self.original.as_ref().map_or_else(|| sys::dispatch(self.tid), |original| original.dispatch)
    }

    /// Sets how system calls are dispatched, for good: remote calls are no longer possible then.
    pub fn set_dispatch(&mut self, dispatch: Dispatch) -> Result<()> {
        sys::set_dispatch(self.tid, dispatch, Fault::Counted)
    }

    /// Its entries for thread-local storage (set_thread_area(2)) that are in use.
    pub fn thread_areas(&self) -> Result<Vec<UserDesc>> {
        let all = i386::TLS.map(|entry| sys::thread_area(self.tid, entry));
        let mut all = all.collect::<Result<Vec<_>>>()?;
        all.retain(|area| !area.is_empty());
        Ok(all)
    }

    /// Sets them; those that are not named are emptied.
    pub fn set_thread_areas(&mut self, areas: &[UserDesc]) -> Result<()> {
        if let Some(other) = areas.iter().find(|area| !i386::TLS.contains(&area.entry)) {
            let what = format!("entry {} of the GDT: for thread-local storage there are 12 to 14 here", other.entry);
            return refuse(RefusalKind::Image, what);
        }
        i386::TLS
            .map(|entry| areas.iter().find(|area| area.entry == entry).copied().unwrap_or(UserDesc::empty(entry)))
            .try_for_each(|area| sys::set_thread_area(self.tid, &area))
    }

    /// Pending signals of the thread, or of the whole process: siginfo_t each.
    pub fn pending(&self, shared: bool) -> Result<Vec<[u8; 128]>> {
        sys::peek_siginfo(self.tid, shared)
    }

    /// A thread of a host from here on.
    pub(crate) fn make_host(&mut self) -> Result<()> {
        self.host = true;
        self.set_sigmask(AWAY)
    }

    /// Sets what the tracer is told of (PTRACE_O_*).
    pub(crate) fn options(&self, options: i32, fault: Fault) -> Result<()> {
        // Whose calls are watched makes those of ours by leave of its tracer, too: without this they would fail with ENOSYS.
        let watched = if self.watched { libc::PTRACE_O_EXITKILL } else { 0 } | libc::PTRACE_O_TRACESECCOMP;
        sys::ptrace(Request::SetOptions, self.tid, 0, (options | watched) as usize, fault).map(drop)
    }

    /// Takes the child that the last clone event told of.
    pub(crate) fn take_child(&mut self) -> Option<i32> {
        self.child.take()
    }

    fn release(&mut self) {
        let _undoing = Undoing::begin();
        // Errors mean that the thread is gone, and then there is nothing to put back.
        let mem = Memory::open(self.tid).ok();
        let _ = self.return_registers(mem.as_ref());
        let gone = if self.watched {
            let _ = sys::ptrace(Request::SetOptions, self.tid, 0, super::tracees::OPTIONS as usize, Fault::Never);
            // It is the keeper's again, which hears of its end.
            let how = if self.stopped_by == 0 { Request::Cont } else { Request::Listen };
            let _ = sys::ptrace(how, self.tid, 0, 0, Fault::Never);
            false
        } else {
            sys::ptrace(Request::Detach, self.tid, 0, 0, Fault::Never).is_err()
        };
        // One that was killed before it could be let go is ours to see off: the end of the process is not told before that of its last thread.
        if gone && self.tid != self.pid {
            while !matches!(sys::wait(self.tid), Ok(Wait::Ended(_)) | Err(_)) {}
        }
        for signal in self.held.drain(..) {
            crate::signals::send_thread(self.pid, self.tid, signal);
        }
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        self.release();
    }
}
