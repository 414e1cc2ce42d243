//! Restartable sequences (rseq(2)): a thread that stands inside a critical section is sent to the section's abort handler, as the kernel does with one that was
//! preempted there. (Documentation/userspace-api/rseq.rst; struct rseq and rseq_cs in linux/rseq.h)
//!
//! It has to happen before the first remote call: the kernel finds the thread outside of the section then, forgets that it was in one, and the section would be
//! finished instead of aborted, by the original as well as by its copy, perhaps on another CPU: allocators with per-CPU caches corrupt their memory that way.

use super::mem::Memory;
use super::stopped::Stopped;
use crate::Result;

/// Moves a thread that stands inside a critical section to its abort handler.
pub(super) fn abort(thread: &mut Stopped, memory: &Memory) -> Result<()> {
    let Some((area, ..)) = thread.rseq() else { return Ok(()) };
    let word = |at: u64| -> Result<u64> {
        let mut bytes = [0; 8];
        memory.read(at, &mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    };
    let section = area.wrapping_add(8);
    // A pointer that leads nowhere ends the program as soon as the kernel follows it: that is left to the kernel.
    let Ok(descriptor) = word(section) else { return Ok(()) };
    if descriptor == 0 {
        return Ok(());
    }
    let field = |offset: u64| word(descriptor.wrapping_add(offset));
    let (Ok(start), Ok(len), Ok(handler)) = (field(8), field(16), field(24)) else { return Ok(()) };
    let mut regs = thread.regs()?;
    if regs.rip.wrapping_sub(start) < len {
        regs.rip = handler;
        thread.set_regs(&regs)?;
        memory.write(section, &[0; 8])?;
    }
    Ok(())
}
