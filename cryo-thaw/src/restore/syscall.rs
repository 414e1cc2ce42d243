//! `SYSC` and `SI32`: the system call that a thread was stopped in.
//!
//! Registers are set as the kernel handed them over, at a stop where the kernel, on letting the thread go, itself decides between restart and
//! EINTR. A restart "for the rest of the time" needs the kernel's restart block, which cannot be written. So the thread begins the call anew with the
//! time that is left, from scratch memory, and is interrupted at once: now the kernel holds the block. Nothing of it is left in the program.

use std::time::Duration;

use cryo_format::section::syscall::{Restart, Syscall, SyscallI386};
use cryo_tracee::{Arch, Host, Regs};

use crate::Result;
use crate::ice::Ice;

/// The call of a thread, as both machines have it.
pub struct Call {
    number: i64,
    args: [u64; 6],
    restart: Restart,
    /// Nanoseconds that are left, if that is known.
    left: Option<u64>,
}

impl Call {
    /// That of thread `id`, if it was in one.
    pub fn of(ice: &Ice, arch: Arch, id: u64) -> Option<Self> {
        let left = |flags: u32, ns: u64| (flags & 1 != 0).then_some(ns);
        match arch {
            Arch::X86_64 => ice.get::<Syscall>(id).map(|c| Self {
                number: c.number as i64,
                args: c.args.map(|a| a.0),
                restart: c.restart,
                left: left(c.flags, c.remaining_ns),
            }),
            Arch::I386 => ice.get::<SyscallI386>(id).map(|c| Self {
                number: c.number.into(),
                args: c.args.map(u64::from),
                restart: c.restart,
                left: left(c.flags, c.remaining_ns),
            }),
        }
    }
}

/// Prepares the kernel for the restart, and `regs` where the call has a result already. The last remote call before the scratch mapping goes.
/// `elapsed` is how much of the time in the ice counts.
pub fn restore(host: &mut Host, i: usize, call: &Call, elapsed: Duration, regs: &mut Regs) -> Result<()> {
    if call.restart != Restart::RESTARTBLOCK {
        return Ok(());
    }
    let (number, mut args) = (call.number, call.args);
    let usual = host.arch().usual(number, args);
    // CPU clocks stand still in the ice.
    let cpu = usual.number == libc::SYS_clock_nanosleep && matches!(args[0] as i32, 2 | 3 | ..0);
    let elapsed = if cpu { 0 } else { elapsed.as_nanos() as u64 };
    let left = call.left.map(|ns| ns.saturating_sub(elapsed));
    // Which argument is the time, if it is relative; other calls are made again as they were.
    let time = match usual.number {
        libc::SYS_nanosleep => Some(0),
        libc::SYS_clock_nanosleep => Some(2),
        libc::SYS_futex if args[1] % 128 == 0 => Some(3),
        _ => None,
    };
    if let (Some(time), Some(ns)) = (time, left) {
        let mut remote = host.remote_at(i)?;
        let mut batch = remote.batch();
        let at = batch.put(&usual.times.bytes(ns));
        batch.call_nothing();
        remote.run(batch)?;
        args[time] = at.addr;
    } else if let (libc::SYS_poll, Some(ns)) = (usual.number, left)
        && !(args[2] as i32).is_negative()
    {
        args[2] = ns.div_ceil(1_000_000);
    }
    let result = host.begin_call(i, number, args)?;
    regs.rax = result as u64;
    regs.orig_rax = match -result {
        // As the kernel left it when it was frozen, and will find it now.
        512..=514 | 516 => number as u64,
        // It was over at once: the time was up, what it waited for had come.
        _ => u64::MAX,
    };
    Ok(())
}
