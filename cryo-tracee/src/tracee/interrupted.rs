//! What a ptrace stop does to the system call that a thread sleeps in, and how the harm is mended.
//!
//! Most calls start again by themselves. Some answer a stop with EINTR although no signal came, and a program that never sends itself
//! signals does not expect that.

use std::collections::HashMap;

use crate::arch::{Arch, Usual};
use crate::{Memory, Regs, Result, Stopped, proc};

const EINTR: i64 = 4;
/// The futex operation with a relative time, below its flags (linux/futex.h).
const FUTEX_WAIT: u32 = 0;
/// Kernel-internal: again, if no handler runs (include/linux/errno.h).
const ERESTARTNOHAND: i64 = 514;

/// What threads were sleeping in before they were stopped: the number, and for how long they had been asleep.
#[derive(Default)]
pub struct Blocked(HashMap<i32, u64>);

impl Blocked {
    /// Looks at all threads of `pid` while they still sleep: once they are woken, nobody knows how long they slept.
    pub fn look(pid: i32, arch: Arch) -> Self {
        let mut seen = HashMap::new();
        for tid in proc::tasks(pid).unwrap_or_default() {
            if let Some((number, args)) = proc::syscall(tid)
                && rest_is_unknown(&arch.usual(number, args))
                && let Some(ns) = proc::asleep_ns(tid)
            {
                seen.insert(tid, ns);
            }
        }
        Self(seen)
    }

    /// For how long the thread had been asleep, in nanoseconds, if it was in a call of which the kernel will not tell the rest of the time.
    pub fn slept(&self, tid: i32) -> Option<u64> {
        self.0.get(&tid).copied()
    }
}

/// Has the call a time limit of which the kernel will not tell the rest?
fn rest_is_unknown(call: &Usual) -> bool {
    let [_, a1, a2, a3, ..] = call.args;
    match call.number {
        libc::SYS_nanosleep => a1 == 0,
        libc::SYS_clock_nanosleep => a1 == 0 && a3 == 0,
        libc::SYS_poll => a2 as i32 > 0,
        libc::SYS_futex => a1 % 128 == u64::from(FUTEX_WAIT) && a3 != 0,
        libc::SYS_rt_sigtimedwait => a2 != 0,
        libc::SYS_epoll_wait | libc::SYS_epoll_pwait => a3 as i32 > 0,
        libc::SYS_epoll_pwait2 | libc::SYS_semtimedop => a3 != 0,
        libc::SYS_restart_syscall => true,
        _ => false,
    }
}

/// Where only our stop woke the thread, has the kernel make its call again when the thread is let go, and after a thaw. Returns the registers, which
/// are set already.
pub fn mend(thread: &mut Stopped, memory: &Memory, blocked: &Blocked) -> Result<Regs> {
    let mut regs = thread.regs()?;
    let Some(arch) = Arch::of_code(&regs) else { return Ok(regs) };
    let Some((number, args)) = arch.call(&regs) else { return Ok(regs) };
    let call = arch.usual(number, args);
    if regs.rax as i64 == -EINTR && never_restarts(call.number) && !signal_due(thread)? {
        regs.rax = -ERESTARTNOHAND as u64;
        if let Some(slept) = blocked.slept(thread.tid()) {
            shorten(arch, &mut regs, &call, slept, memory);
        }
        thread.set_regs(&regs)?;
    }
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
fn shorten(arch: Arch, regs: &mut Regs, call: &Usual, slept: u64, memory: &Memory) {
    let limit = match call.number {
        libc::SYS_epoll_wait | libc::SYS_epoll_pwait if call.args[3] as i32 > 0 => {
            let left = (call.args[3] * 1_000_000).saturating_sub(slept).div_ceil(1_000_000);
            *arch.arg_mut(regs, call.places[3]) = left;
            return;
        }
        libc::SYS_rt_sigtimedwait => 2,
        libc::SYS_epoll_pwait2 | libc::SYS_semtimedop => 3,
        _ => return,
    };
    let Some(whole) = call.times.read(memory, call.args[limit]) else { return };
    let copy = (regs.rsp - 128 - 64) & !15;
    if memory.fill(copy, &call.times.bytes(whole.saturating_sub(slept))).is_ok() {
        *arch.arg_mut(regs, call.places[limit]) = copy;
    }
}

/// Is there a signal that will be delivered as soon as the thread goes on? Then EINTR is the truth.
fn signal_due(thread: &Stopped) -> Result<bool> {
    let status = proc::Status::of(thread.tid())?;
    let pending = status.hex("SigPnd") | status.hex("ShdPnd");
    Ok(pending & !thread.sigmask()? != 0)
}
