//! What [`translate`] says is done to a stopped thread.

use cryo_tracee::tracees::Call;
use cryo_tracee::{Arch, Stopped};

use super::Pids;
use super::translate::{self, Caller, Enter, Memory};

impl Memory for Stopped {
    fn peek(&self, at: u64, buf: &mut [u8]) -> usize {
        Stopped::peek(self, at, buf)
    }

    fn peek_string(&self, at: u64) -> Option<Vec<u8>> {
        Stopped::peek_string(self, at)
    }

    fn poke(&self, at: u64, bytes: &[u8]) -> bool {
        Stopped::poke(self, at, bytes)
    }
}

/// A thread of process `pid` is about to make a call. True if it need not be made, and has its result. A thread that is gone was killed.
pub fn enter(pids: &Pids, pid: i32, call: &Call, thread: &mut Stopped) -> bool {
    let Ok(mut regs) = thread.regs() else { return false };
    let who = Caller { tid: thread.tid(), pid, stack: regs.rsp };
    match translate::enter(pids, who, call, thread) {
        Enter::Nothing => false,
        Enter::Known(result) => {
            // No call has this number: nothing is called.
            (regs.orig_rax, regs.rax) = (u64::MAX, result as u64);
            thread.set_regs(&regs).is_ok()
        }
        Enter::Made(args) => {
            put(thread, call.i386, args);
            false
        }
    }
}

/// A thread that was interrupted while it waited for its own number has it before anything else becomes of it: a handler would make an error of it (EINTR), and an
/// image has a call that is made again.
pub fn complete(pids: &Pids, pid: i32, thread: &mut Stopped) {
    let Some(call) = thread.interrupted() else { return };
    if let (Some(own), Ok(mut regs)) = (translate::own(pids, pid, thread.tid(), &call), thread.regs()) {
        (regs.orig_rax, regs.rax) = (u64::MAX, own as u64);
        let _ = thread.set_regs(&regs);
    }
}

/// It has a result. Returns the one that it is given; its arguments are its own again.
pub fn leave(pids: &Pids, call: &Call, result: i64, thread: &mut Stopped) -> i64 {
    put(thread, call.i386, call.args);
    let seen = translate::leave(pids, call, result, thread);
    if seen != result
        && let Ok(mut regs) = thread.regs()
    {
        regs.rax = seen as u64;
        let _ = thread.set_regs(&regs);
    }
    seen
}

/// A signal is about to be delivered to it.
pub fn sender(pids: &Pids, thread: &Stopped) {
    let Some(mut info) = thread.siginfo() else { return };
    if translate::siginfo(&mut info, pids) {
        thread.set_siginfo(&info);
    }
}

/// Gives it these arguments, where it has others. Of 32-bit code the kernel takes the lower halves.
fn put(thread: &mut Stopped, i386: bool, args: [u64; 6]) {
    let Ok(mut regs) = thread.regs() else { return };
    let (arch, bits) = if i386 { (Arch::I386, u32::MAX.into()) } else { (Arch::X86_64, u64::MAX) };
    let mut others = false;
    for (i, arg) in args.into_iter().enumerate() {
        let now = arch.arg_mut(&mut regs, i);
        if (*now ^ arg) & bits != 0 {
            (*now, others) = (arg & bits, true);
        }
    }
    if others {
        let _ = thread.set_regs(&regs);
    }
}
