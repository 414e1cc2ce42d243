//! What a thread was before remote calls were made in it, and how it becomes that again, with us or without.

use super::{AWAY, Stopped, bit};
use crate::Result;
use crate::mem::Memory;
use crate::proc;
use crate::sys::{self, Dispatch, Fault, Request};
use crate::tracee::arch::code::{Entry, Rest, SelfRestoring};
use crate::tracee::arch::{Regs, x86_64};

/// What a thread was before remote calls were made in it.
pub(super) struct Original {
    pub regs: Regs,
    pub sigmask: u64,
    /// The rseq area's `rseq_cs` field and its address. The kernel clears it as soon as the thread runs outside the critical section that
    /// it names; a thread that was frozen inside one would then not be sent to its abort handler.
    pub rseq_cs: Option<(u64, u64)>,
    /// Off during remote calls: they are made outside of the range that it lets through, and would be answered by SIGSYS.
    pub dispatch: Dispatch,
    /// Where the code is by which the thread makes itself so again when we are gone; `None` where it depends on us.
    pub self_restoring: Option<u64>,
    /// The signal that is its event; 0 if its system calls are.
    pub event: i32,
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
pub(super) struct Returning {
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

impl Stopped {
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

    pub(super) fn put(&self, regs: &Regs) -> Result<()> {
        self.cached_regs.set(None);
        sys::set_regs(self.tid, regs, Fault::Never)
    }
}
