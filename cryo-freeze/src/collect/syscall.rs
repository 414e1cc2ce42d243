//! `SYSC`: the system call that a thread was stopped in.
//!
//! A stop interrupts a sleeping call, and the kernel leaves in `rax` how it would go on. Most calls start again by themselves. Three kinds need
//! help. Those that the kernel restarts "for the rest of the time" keep that time in the kernel, out of reach (the easy way of other tools is
//! EINTR, which programs that only sleep do not expect). Those that never restart return EINTR although no signal came. And a call that
//! was interrupted before shows itself as restart_syscall, not as what it was.

use cryo_format::prim::Addr;
use cryo_format::section::syscall::{Restart, Syscall};
use cryo_tracee::interrupted::{Blocked, timespec};
use cryo_tracee::{Memory, Regs, Stopped};

use super::Collected;
use crate::Result;

/// Adds the call that the thread is in, if any, and returns the registers as the image shall have them.
pub fn collect(thread: &Stopped, id: u64, memory: &Memory, blocked: &Blocked, out: &mut Collected) -> Result<Regs> {
    let regs = thread.regs()?;
    if (regs.orig_rax as i64) < 0 {
        return Ok(regs);
    }
    let restart = match -(regs.rax as i64) {
        512 => Restart::SYS,
        513 => Restart::NOINTR,
        514 => Restart::NOHAND,
        516 => Restart::RESTARTBLOCK,
        _ => Restart::NONE,
    };
    let mut call = Syscall {
        number: regs.orig_rax,
        args: [regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9].map(Addr),
        restart,
        flags: 0,
        remaining_ns: 0,
    };
    if restart == Restart::RESTARTBLOCK {
        if call.number as i64 == libc::SYS_restart_syscall {
            call.number = original_call(&regs, memory) as u64;
        }
        if let Some(ns) = remaining(&call, thread.tid(), memory, blocked) {
            call.flags |= 1;
            call.remaining_ns = ns;
        }
    }
    out.add(id, call);
    Ok(regs)
}

/// Which call restart_syscall stands for. Most code has the number right before the instruction; otherwise the arguments tell.
fn original_call(regs: &Regs, memory: &Memory) -> i64 {
    let mut code = [0; 7];
    if memory.read(regs.rip.wrapping_sub(7), &mut code).is_ok() && code[0] == 0xb8 {
        let number = i64::from(i32::from_le_bytes([code[1], code[2], code[3], code[4]]));
        if matches!(number, libc::SYS_nanosleep | libc::SYS_clock_nanosleep | libc::SYS_poll | libc::SYS_futex) {
            return number;
        }
    }
    if regs.rdi < 16 && regs.rsi == 0 && timespec(memory, regs.rdx).is_some() {
        return libc::SYS_clock_nanosleep;
    }
    if timespec(memory, regs.rdi).is_some() && (regs.rsi == 0 || timespec(memory, regs.rsi).is_some()) {
        return libc::SYS_nanosleep;
    }
    if regs.rdi.is_multiple_of(4)
        && regs.rdi > 4096
        && matches!(regs.rsi & !0x180, 0 | 9)
        && timespec(memory, regs.r10).is_some()
    {
        return libc::SYS_futex;
    }
    libc::SYS_poll
}

/// What is left of a relative timeout.
fn remaining(call: &Syscall, tid: i32, memory: &Memory, blocked: &Blocked) -> Option<u64> {
    let [a0, a1, a2, a3, ..] = call.args.map(|a| a.0);
    // A sleep that has a place for the rest has had it written there by the very interruption.
    let (whole, rest) = match call.number as i64 {
        libc::SYS_nanosleep => (timespec(memory, a0)?, timespec(memory, a1)),
        libc::SYS_clock_nanosleep => (timespec(memory, a2)?, timespec(memory, a3)),
        libc::SYS_poll => ((a2 as i32).max(0) as u64 * 1_000_000, None),
        // FUTEX_WAIT has a relative time; all others have the point in time at which they end.
        libc::SYS_futex if a1 % 128 == 0 => (timespec(memory, a3)?, None),
        _ => return None,
    };
    rest.or_else(|| Some(whole.saturating_sub(blocked.slept(tid).unwrap_or(0))))
}
