//! `SYSC` and `SI32`: the system call that a thread was stopped in.
//!
//! A stop interrupts a sleeping call, and the kernel leaves in `rax` how it would go on. Most calls start again by themselves. Three kinds need
//! help. Those that the kernel restarts "for the rest of the time" keep that time in the kernel, out of reach (the easy way of other tools is
//! EINTR, which programs that only sleep do not expect). Those that never restart return EINTR although no signal came. And a call that
//! was interrupted before shows itself as restart_syscall, not as what it was.

use cryo_format::prim::Addr;
use cryo_format::section::syscall::{Restart, Syscall, SyscallI386};
use cryo_tracee::arch::{Times, Usual};
use cryo_tracee::interrupted::Blocked;
use cryo_tracee::{Arch, Memory, Regs, Stopped};

use super::Collected;
use crate::Result;

/// Adds the call that the thread is in, if any, and returns the registers as the image shall have them.
pub fn collect(
    thread: &Stopped,
    arch: Arch,
    id: u64,
    memory: &Memory,
    blocked: &Blocked,
    out: &mut Collected,
) -> Result<Regs> {
    let regs = thread.regs()?;
    let Some((mut number, args)) = arch.call(&regs) else { return Ok(regs) };
    let restart = match -(regs.rax as i64) {
        512 => Restart::SYS,
        513 => Restart::NOINTR,
        514 => Restart::NOHAND,
        516 => Restart::RESTARTBLOCK,
        _ => Restart::NONE,
    };
    let mut left = None;
    if restart == Restart::RESTARTBLOCK {
        if number == arch.restart_syscall() {
            number = original_call(arch, &regs, args, memory);
        }
        left = remaining(&arch.usual(number, args), thread.tid(), memory, blocked);
    }
    let (flags, remaining_ns) = (left.is_some().into(), left.unwrap_or(0));
    match arch {
        Arch::X86_64 => {
            out.add(id, Syscall { number: number as u64, args: args.map(Addr), restart, flags, remaining_ns });
        }
        Arch::I386 => {
            let (number, args) = (number as u32, args.map(|arg| arg as u32));
            out.add(id, SyscallI386 { number, restart, args, flags, reserved: 0, remaining_ns });
        }
    }
    Ok(regs)
}

/// Which call restart_syscall stands for. Most code has the number right before the instruction; otherwise the arguments tell.
fn original_call(arch: Arch, regs: &Regs, [a0, a1, a2, a3, ..]: [u64; 6], memory: &Memory) -> i64 {
    // Of the calls with times i386 has two kinds; the C library makes those of the older kind wherever that will do.
    let (nanosleep, clock_nanosleep, poll, futex, times) = match arch {
        Arch::X86_64 => (libc::SYS_nanosleep, libc::SYS_clock_nanosleep, libc::SYS_poll, libc::SYS_futex, Times::Long),
        Arch::I386 => (162, 267, 168, 240, Times::Short),
    };
    let mut code = [0; 7];
    if memory.read(regs.rip.wrapping_sub(7), &mut code).is_ok() && code[0] == 0xb8 {
        let number = i64::from(i32::from_le_bytes([code[1], code[2], code[3], code[4]]));
        if [nanosleep, clock_nanosleep, poll, futex].contains(&number) {
            return number;
        }
    }
    let time = |at| times.read(memory, at).is_some();
    if a0 < 16 && a1 == 0 && time(a2) {
        return clock_nanosleep;
    }
    if time(a0) && (a1 == 0 || time(a1)) {
        return nanosleep;
    }
    if a0.is_multiple_of(4) && a0 > 4096 && matches!(a1 & !0x180, 0 | 9) && time(a3) {
        return futex;
    }
    poll
}

/// What is left of a relative timeout.
fn remaining(call: &Usual, tid: i32, memory: &Memory, blocked: &Blocked) -> Option<u64> {
    let [a0, a1, a2, a3, ..] = call.args;
    let time = |at| call.times.read(memory, at);
    // A sleep that has a place for the rest has had it written there by the very interruption.
    let (whole, rest) = match call.number {
        libc::SYS_nanosleep => (time(a0)?, time(a1)),
        libc::SYS_clock_nanosleep => (time(a2)?, time(a3)),
        libc::SYS_poll => ((a2 as i32).max(0) as u64 * 1_000_000, None),
        // FUTEX_WAIT has a relative time; all others have the point in time at which they end.
        libc::SYS_futex if a1 % 128 == 0 => (time(a3)?, None),
        _ => return None,
    };
    rest.or_else(|| Some(whole.saturating_sub(blocked.slept(tid).unwrap_or(0))))
}
