//! What a ptrace stop does to the system call that a thread sleeps in, and how the harm is mended.
//!
//! Most calls start again by themselves. Some answer a stop with EINTR although no signal came, and a program that never sends itself
//! signals does not expect that.

use std::collections::HashMap;

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

    /// For how long the thread had been asleep, in nanoseconds, if it was in a call of which the kernel will not tell the rest of the time.
    pub fn slept(&self, tid: i32) -> Option<u64> {
        self.0.get(&tid).copied()
    }
}

/// Has the call a time limit of which the kernel will not tell the rest?
fn rest_is_unknown(number: i64, [_, a1, a2, a3, ..]: [u64; 6]) -> bool {
    match number {
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
    let number = regs.orig_rax as i64;
    if number >= 0 && regs.rax as i64 == -EINTR && never_restarts(number) && !signal_due(thread)? {
        regs.rax = -ERESTARTNOHAND as u64;
        if let Some(slept) = blocked.slept(thread.tid()) {
            shorten(&mut regs, slept, memory);
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

/// The struct timespec at `at`, in nanoseconds; `None` if there is none.
pub fn timespec(memory: &Memory, at: u64) -> Option<u64> {
    let mut raw = [0; 16];
    memory.read(at, &mut raw).ok()?;
    let (sec, nsec) = raw.split_at(8);
    let sec = u64::from_le_bytes(sec.try_into().ok()?);
    let nsec = u64::from_le_bytes(nsec.try_into().ok()?);
    (sec < 1 << 40 && nsec < 1_000_000_000).then(|| sec.saturating_mul(1_000_000_000).saturating_add(nsec))
}
