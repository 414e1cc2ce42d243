//! `SYSC`: the system call that a thread was stopped in.
//!
//! Registers are set as the kernel handed them over, at a stop where the kernel, on letting the thread go, itself decides between restart and
//! EINTR. A restart "for the rest of the time" needs the kernel's restart block, which cannot be written. So the thread begins the call anew with the
//! time that is left, from scratch memory, and is interrupted at once: now the kernel holds the block. Nothing of it is left in the program.

use std::time::Duration;

use cryo_format::section::syscall::{Restart, Syscall};
use cryo_tracee::{Host, Regs};

use crate::Result;

/// Prepares the kernel for the restart, and `regs` where the call has a result already. The last remote call before the scratch mapping goes.
/// `elapsed` is how much of the time in the ice counts.
pub fn restore(host: &mut Host, i: usize, call: &Syscall, elapsed: Duration, regs: &mut Regs) -> Result<()> {
    if call.restart != Restart::RESTARTBLOCK {
        return Ok(());
    }
    let mut args = call.args.map(|a| a.0);
    let timespec = |ns: u64| [ns / 1_000_000_000, ns % 1_000_000_000].map(u64::to_le_bytes).concat();
    // CPU clocks stand still in the ice.
    let cpu = call.number as i64 == libc::SYS_clock_nanosleep && matches!(args[0] as i32, 2 | 3 | ..0);
    let elapsed = if cpu { 0 } else { elapsed.as_nanos() as u64 };
    let left = (call.flags & 1 != 0).then(|| call.remaining_ns.saturating_sub(elapsed));
    // Which argument is the time, if it is relative; other calls are made again as they were.
    let time = match call.number as i64 {
        libc::SYS_nanosleep => Some(0),
        libc::SYS_clock_nanosleep => Some(2),
        libc::SYS_futex if args[1] % 128 == 0 => Some(3),
        _ => None,
    };
    if let (Some(time), Some(ns)) = (time, left) {
        let mut remote = host.remote_at(i)?;
        let mut batch = remote.batch();
        let at = batch.put(&timespec(ns));
        batch.call(libc::SYS_getpid, &[]);
        remote.run(batch)?;
        args[time] = at.addr;
    } else if let (libc::SYS_poll, Some(ns)) = (call.number as i64, left)
        && !(args[2] as i32).is_negative()
    {
        args[2] = ns.div_ceil(1_000_000);
    }
    let result = host.begin_call(i, call.number as i64, args)?;
    if result == -(Restart::RESTARTBLOCK.0 as i64) {
        // As the kernel left it when it was frozen, and will find it now.
        regs.rax = result as u64;
        regs.orig_rax = call.number;
    } else if matches!(-result, 512..=514) {
        regs.rax = result as u64;
        regs.orig_rax = call.number;
    } else {
        // It was over at once: the time was up, what it waited for had come.
        regs.rax = result as u64;
        regs.orig_rax = u64::MAX;
    }
    Ok(())
}
