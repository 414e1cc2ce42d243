//! A thread that stands still.

use std::cell::{Cell, OnceCell};
use std::marker::PhantomData;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::arch::code::{Entry, Rest, SelfRestoring};
use super::arch::{Regs, i386, x86_64};
use super::children::is_birth;
use crate::error::refuse;
use crate::fault::Undoing;
use crate::mem::Memory;
use crate::proc;
use crate::sys::{self, Dispatch, Fault, Request, UserDesc, Wait};
use crate::{Error, RefusalKind, Result};

/// The extended state of a thread as NT_X86_XSTATE gives it, or only the 512 bytes of the legacy area where the CPU has no XSAVE.
pub type Xstate = Vec<u8>;

pub(super) const PTRACE_EVENT_STOP: i32 = 128;

/// What is kept away while remote calls are made: all but the SIGTRAP that ends them. To force it upon a thread that blocks it, the kernel would
/// take the program's handler away (kernel/signal.c, force_sig_info_to_task).
pub const AWAY: u64 = !bit(libc::SIGTRAP);

const fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

/// What a thread was before remote calls were made in it.
struct Original {
    regs: Regs,
    sigmask: u64,
    /// The rseq area's `rseq_cs` field and its address. The kernel clears it as soon as the thread runs outside the critical section that
    /// it names; a thread that was frozen inside one would then not be sent to its abort handler.
    rseq_cs: Option<(u64, u64)>,
    /// Off during remote calls: they are made outside of the range that it lets through, and would be answered by SIGSYS.
    dispatch: Dispatch,
    /// Where the code is by which the thread makes itself so again when we are gone; `None` where it depends on us.
    self_restoring: Option<u64>,
    /// The signal that is its event; 0 if its system calls are.
    event: i32,
}

/// Which signals mean nothing to a process: what it does not handle and the kernel ignores, or it does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HarmlessSignals(u64);

impl HarmlessSignals {
    /// Of the process with this status.
    pub(crate) fn of(status: &proc::Status) -> Self {
        let ignored = bit(libc::SIGURG) | bit(libc::SIGWINCH) | bit(libc::SIGCHLD) | status.hex("SigIgn");
        // SIGCONT does more than to be delivered, and a stopped process that ignores a stop signal is no place for one.
        let never = bit(libc::SIGCONT)
            | bit(libc::SIGTRAP)
            | bit(libc::SIGSTOP)
            | bit(libc::SIGTSTP)
            | bit(libc::SIGTTIN)
            | bit(libc::SIGTTOU);
        Self(ignored & !status.hex("SigCgt") & !never)
    }

    /// One that a thread with this mask would not wait for, either; 0 if there is none.
    fn one(self, mask: u64) -> i32 {
        let first = [libc::SIGURG, libc::SIGWINCH, libc::SIGCHLD].into_iter().chain(1..32);
        first.into_iter().find(|n| self.0 & !mask & bit(*n) != 0).unwrap_or(0)
    }
}

/// A thread that has its registers back and is on its way to an event stop.
struct Returning {
    original: Original,
    /// Did it get away?
    on: Result<()>,
}

fn put_rseq_cs(original: &Original, mem: Option<&Memory>) {
    if let (Some((at, cs)), Some(mem)) = (original.rseq_cs, mem)
        && cs != 0
    {
        mem.restore(at, &cs.to_le_bytes());
    }
}

/// The program's registers, but standing in the code at `code` that gives it its mask and the rest.
fn masked(own: &Regs, code: u64) -> Regs {
    Regs { rip: code + Entry::Masked.offset(), cs: x86_64::CS, orig_rax: u64::MAX, ..*own }
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

    /// Remembers what the thread is before remote calls are made in it, and keeps signals away.
    pub(crate) fn borrow_registers(&mut self, mem: &Memory) -> Result<()> {
        if self.original.is_some() || self.host {
            return Ok(());
        }
        let rseq_cs = self.rseq_cs(mem);
        let dispatch = sys::dispatch(self.tid);
        let (self_restoring, event) = (None, libc::SIGTRAP);
        let original =
            Original { regs: self.regs()?, sigmask: self.sigmask()?, rseq_cs, dispatch, self_restoring, event };
        sys::set_sigmask(self.tid, AWAY, Fault::Counted)?;
        self.original = Some(original);
        if dispatch.mode != 0 {
            sys::set_dispatch(self.tid, Dispatch::default(), Fault::Counted)?;
        }
        Ok(())
    }

    /// The code by which this thread goes on when nobody holds it any more. `ids` are those of process and thread as they themselves see them.
    pub(crate) fn self_restoring_code(
        &mut self,
        mem: &Memory,
        ids: (i32, i32),
        quiet: HarmlessSignals,
        scratch: u64,
    ) -> Result<Vec<u8>> {
        let mask = self.sigmask()?;
        let event = quiet.one(mask);
        let (rseq_cs, dispatch) = (self.rseq_cs(mem), sys::dispatch(self.tid));
        let original = Original { regs: self.regs()?, sigmask: mask, rseq_cs, dispatch, self_restoring: None, event };
        let rest = Rest { mask, signal: event, scratch: scratch as u32, dispatch };
        let code = SelfRestoring::of(&original.regs, ids, rest);
        self.original = Some(original);
        Ok(code.code())
    }

    /// From here on the thread stands in that code, which is at `code`, and no signal disturbs it.
    ///
    /// In this order: whenever we are killed, the thread has its own registers and mask, or the code gives them to it.
    pub(crate) fn enter_self_restoring(&mut self, code: u64) -> Result<()> {
        let Some(original) = self.original.as_mut() else { return Ok(()) };
        let aside = masked(&original.regs, code);
        self.cached_regs.set(None);
        sys::set_regs(self.tid, &aside, Fault::Counted)?;
        original.self_restoring = Some(code);
        if original.dispatch.mode != 0 {
            // Killed just before this, the thread makes the calls of that code as any outside of its range: they are answered by SIGSYS.
            sys::set_dispatch(self.tid, Dispatch::default(), Fault::Counted)?;
        }
        let away = if original.event == 0 { u64::MAX } else { !bit(original.event) };
        sys::set_sigmask(self.tid, away, Fault::Counted)
    }

    /// Where that code is, if it stands in it.
    pub(crate) fn self_restoring(&self) -> Option<u64> {
        self.original.as_ref()?.self_restoring
    }

    fn rseq_cs(&self, mem: &Memory) -> Option<(u64, u64)> {
        let (area, ..) = self.rseq()?;
        let mut cs = [0; 8];
        mem.read(area + 8, &mut cs).ok().map(|()| (area + 8, u64::from_le_bytes(cs)))
    }

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

    /// Puts registers, mask and rseq pointer back.
    ///
    /// The thread stands in the event that ended the last remote call. It is taken on to an event stop, from which the kernel makes an interrupted
    /// call again. (Where that event is a SIGTRAP, the kernel would let it go *with* that signal if we were killed now, and it would die.)
    pub(crate) fn return_registers(&mut self, mem: Option<&Memory>) -> Result<()> {
        self.begin_return(mem);
        let Some(Returning { original, on }) = self.returning.take() else { return Ok(()) };
        let stopped_by = self.stopped_by;
        let mut on = on.and_then(|()| self.settle());
        self.stopped_by = stopped_by;
        if let Some(code) = original.self_restoring {
            // As in `enter_self_restoring`, the other way round.
            on = on.and_then(|()| self.put(&masked(&original.regs, code)));
        }
        let mask = sys::set_sigmask(self.tid, original.sigmask, Fault::Never);
        if original.self_restoring.is_some() {
            self.put_dispatch(&original);
            put_rseq_cs(&original, mem);
            on = on.and_then(|()| self.put(&original.regs));
        }
        on.and(mask)
    }

    /// The first half: the thread will stand in its event stop soon. Many threads are sent there before the first is waited for.
    pub(crate) fn begin_return(&mut self, mem: Option<&Memory>) {
        let Some(original) = self.original.take() else { return };
        self.cached_regs.set(None);
        let mut regs = Ok(());
        if original.self_restoring.is_none() {
            regs = self.put(&original.regs);
            self.put_dispatch(&original);
            put_rseq_cs(&original, mem);
        }
        let on = sys::ptrace(Request::Interrupt, self.tid, 0, 0, Fault::Never)
            .and_then(|_| self.go_on(Request::Cont, 0, Fault::Never));
        self.returning = Some(Returning { original, on: regs.and(on) });
    }

    fn put_dispatch(&self, original: &Original) {
        if original.dispatch.mode != 0 {
            let _ = sys::set_dispatch(self.tid, original.dispatch, Fault::Never);
        }
    }

    fn put(&self, regs: &Regs) -> Result<()> {
        self.cached_regs.set(None);
        sys::set_regs(self.tid, regs, Fault::Never)
    }

    /// A thread of a host from here on.
    pub(crate) fn make_host(&mut self) -> Result<()> {
        self.host = true;
        self.set_sigmask(AWAY)
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

    fn go_on(&self, request: Request, signal: i32, fault: Fault) -> Result<()> {
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

/// A thread that is traced, and runs or is about to stop.
pub(crate) struct Seized {
    thread: Option<Stopped>,
    tid: i32,
}

impl Seized {
    pub(crate) fn new(pid: i32, tid: i32) -> Result<Self> {
        if let Err(e) = sys::ptrace(Request::Seize, tid, 0, libc::PTRACE_O_TRACESYSGOOD as usize, Fault::Counted) {
            if e.errno() != Some(libc::EPERM) || !super::tracees::is_ours(tid) {
                return Err(e);
            }
            // It is of the family that we watch.
            return Ok(Self { thread: Some(Stopped::watched(pid, tid)), tid });
        }
        Ok(Self { thread: Some(Stopped::new(pid, tid)), tid })
    }

    /// Does it stand already, as all of a watched family do when they are to be frozen?
    fn stands(&self) -> bool {
        self.thread.as_ref().is_some_and(|t| t.watched) && super::tracees::stands(self.tid)
    }

    /// It will stop soon. Many threads are told before the first is waited for.
    pub(crate) fn interrupt(&self) -> Result<()> {
        if self.stands() {
            return Ok(());
        }
        sys::ptrace(Request::Interrupt, self.tid, 0, 0, Fault::Counted).map(drop)
    }

    pub(crate) fn finish(mut self) -> Result<Stopped> {
        let stands = self.stands();
        let mut thread = self.thread.take().ok_or(Error::Died(self.tid))?;
        if stands {
            thread.stopped_by = super::tracees::stopped_by(self.tid);
            return Ok(thread);
        }
        match thread.settle() {
            Ok(()) => Ok(thread),
            Err(e) => {
                std::mem::forget(thread); // gone, or not stopped: either way it cannot be detached
                Err(e)
            }
        }
    }
}

impl Drop for Seized {
    /// A thread can be let go only from a stop.
    fn drop(&mut self) {
        let Some(mut thread) = self.thread.take() else { return };
        let _ = sys::ptrace(Request::Interrupt, self.tid, 0, 0, Fault::Never);
        if thread.settle().is_err() {
            std::mem::forget(thread);
        }
    }
}
