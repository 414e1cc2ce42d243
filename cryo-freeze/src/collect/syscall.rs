//! `SYSC`: the system call that a thread was stopped in.
//!
//! A stop interrupts a sleeping call, and the kernel leaves in `rax` how it would go on. Most calls start again by themselves. Three kinds need
//! help. Those that the kernel restarts "for the rest of the time" keep that time in the kernel, out of reach (the easy way of other tools is
//! EINTR, which programs that only sleep do not expect). Those that never restart return EINTR although no signal came. And a call that
//! was interrupted before shows itself as restart_syscall, not as what it was.

use std::collections::HashMap;

use cryo_format::prim::Addr;
use cryo_format::section::syscall::{Restart, Syscall};
use cryo_tracee::{Memory, Regs, Stopped, proc};

use super::Collected;
use crate::Result;

const EINTR: i64 = 4;

/// What threads were sleeping in before they were stopped: the number, and for how long they had been asleep.
#[derive(Default)]
pub struct Blocked(HashMap<i32, u64>);

impl Blocked {
    /// Looks at all threads of `pid` while they still sleep: once they are woken, nobody knows how long they slept.
    pub fn look(pid: i32) -> Self {
        let mut seen = HashMap::new();
        for tid in proc::tasks(pid).unwrap_or_default() {
            if let Some((number, args)) = proc::syscall(tid)
                && rest_is_unknown(number, args)
                && let Some(ns) = proc::asleep_ns(tid)
            {
                seen.insert(tid, ns);
            }
        }
        Self(seen)
    }
}

/// Has the call a time limit of which the kernel will not tell the rest?
fn rest_is_unknown(number: i64, [_, a1, a2, a3, ..]: [u64; 6]) -> bool {
    match number {
        libc::SYS_nanosleep => a1 == 0,
        libc::SYS_clock_nanosleep => a1 == 0 && a3 == 0,
        libc::SYS_poll => a2 as i32 > 0,
        libc::SYS_futex => a1 & 0x7f == 0 && a3 != 0,
        libc::SYS_rt_sigtimedwait => a2 != 0,
        libc::SYS_epoll_wait | libc::SYS_epoll_pwait => a3 as i32 > 0,
        libc::SYS_epoll_pwait2 | libc::SYS_semtimedop => a3 != 0,
        libc::SYS_restart_syscall => true,
        _ => false,
    }
}

/// Adds the call that the thread is in, if any, and returns the registers as the image shall have them.
pub fn collect(thread: &mut Stopped, id: u64, memory: &Memory, blocked: &Blocked, out: &mut Collected) -> Result<Regs> {
    let mut regs = thread.regs()?;
    if (regs.orig_rax as i64) < 0 {
        return Ok(regs);
    }
    if regs.rax as i64 == -EINTR && never_restarts(regs.orig_rax as i64) && !signal_due(thread)? {
        // Only our stop woke it. With this code the kernel makes the call again, here when the thread is let go, and after a thaw.
        regs.rax = -(Restart::NOHAND.0 as i64) as u64;
        if let Some(slept) = blocked.0.get(&thread.tid()) {
            shorten(&mut regs, *slept, memory);
        }
        thread.set_regs(&regs)?;
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

/// Calls that answer a stop with EINTR (signal(7), "Interruption of system calls by stop signals", and what else was found).
fn never_restarts(number: i64) -> bool {
    matches!(
        number,
        libc::SYS_epoll_wait
            | libc::SYS_epoll_pwait
            | libc::SYS_epoll_pwait2
            | libc::SYS_semop
            | libc::SYS_semtimedop
            | libc::SYS_rt_sigtimedwait
            | libc::SYS_io_getevents
            | libc::SYS_read
            | libc::SYS_write
            | libc::SYS_accept
            | libc::SYS_accept4
            | libc::SYS_recvfrom
            | libc::SYS_recvmsg
            | libc::SYS_sendto
            | libc::SYS_sendmsg
            | libc::SYS_connect
    )
}

/// A call that is made again from its beginning shall not wait for its whole time again. The limit is an argument, in a register or behind a pointer;
/// a pointer is led to a copy below the red zone, where nothing of the program's is and where the kernel reads it at once.
fn shorten(regs: &mut Regs, slept: u64, memory: &Memory) {
    let pointer = match regs.orig_rax as i64 {
        libc::SYS_epoll_wait | libc::SYS_epoll_pwait if regs.r10 as i32 > 0 => {
            regs.r10 = (regs.r10 * 1_000_000).saturating_sub(slept).div_ceil(1_000_000);
            return;
        }
        libc::SYS_rt_sigtimedwait => &mut regs.rdx,
        libc::SYS_epoll_pwait2 | libc::SYS_semtimedop => &mut regs.r10,
        _ => return,
    };
    let Some(whole) = timespec(memory, *pointer) else { return };
    let rest = whole.saturating_sub(slept);
    let copy = (regs.rsp - 128 - 64) & !15;
    let words = [rest / 1_000_000_000, rest % 1_000_000_000].map(u64::to_le_bytes).concat();
    if memory.fill(copy, &words).is_ok() {
        *pointer = copy;
    }
}

/// Is there a signal that will be delivered as soon as the thread goes on? Then EINTR is the truth.
fn signal_due(thread: &Stopped) -> Result<bool> {
    let status = proc::Status::of(thread.tid())?;
    let pending = status.hex("SigPnd") | status.hex("ShdPnd");
    Ok(pending & !thread.sigmask()? != 0)
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
    if regs.rdi % 4 == 0 && regs.rdi > 4096 && regs.rsi & !0x1ff == 0 && timespec(memory, regs.r10).is_some() {
        return libc::SYS_futex;
    }
    libc::SYS_poll
}

fn timespec(memory: &Memory, at: u64) -> Option<u64> {
    let mut raw = [0; 16];
    memory.read(at, &mut raw).ok()?;
    let (sec, nsec) = raw.split_at(8);
    let sec = u64::from_le_bytes(sec.try_into().ok()?);
    let nsec = u64::from_le_bytes(nsec.try_into().ok()?);
    (sec < 1 << 40 && nsec < 1_000_000_000).then(|| sec.saturating_mul(1_000_000_000).saturating_add(nsec))
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
        libc::SYS_futex if a1 & 0x7f == 0 => (timespec(memory, a3)?, None),
        _ => return None,
    };
    rest.or_else(|| Some(whole.saturating_sub(blocked.0.get(&tid).copied().unwrap_or(0))))
}
