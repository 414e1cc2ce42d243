//! `RX64`: general registers, the last thing before the process is let go.

use cryo_format::section::regs::RegsX86_64;
use cryo_tracee::{Memory, Regs};

use crate::Result;

/// As the kernel takes them.
pub fn regs(r: &RegsX86_64) -> Regs {
    Regs {
        r15: r.r15.0,
        r14: r.r14.0,
        r13: r.r13.0,
        r12: r.r12.0,
        rbp: r.rbp.0,
        rbx: r.rbx.0,
        r11: r.r11.0,
        r10: r.r10.0,
        r9: r.r9.0,
        r8: r.r8.0,
        rax: r.rax.0,
        rcx: r.rcx.0,
        rdx: r.rdx.0,
        rsi: r.rsi.0,
        rdi: r.rdi.0,
        orig_rax: r.orig_rax.0,
        rip: r.rip.0,
        cs: r.cs.0,
        eflags: r.eflags.0,
        rsp: r.rsp.0,
        ss: r.ss.0,
        fs_base: r.fs_base.0,
        gs_base: r.gs_base.0,
        ds: r.ds.0,
        es: r.es.0,
        fs: r.fs.0,
        gs: r.gs.0,
    }
}

/// A thread that was frozen inside a restartable sequence begins it again: it may be on another CPU now. What the kernel does after preemption is
/// done here by hand, because the host was not preempted there. (Documentation/userspace-api/rseq.rst; struct rseq_cs in linux/rseq.h)
pub fn abort_rseq(regs: &mut Regs, rseq: u64, memory: &Memory) -> Result<()> {
    if rseq == 0 {
        return Ok(());
    }
    let word = |at: u64| -> Result<u64> {
        let mut b = [0; 8];
        memory.read(at, &mut b)?;
        Ok(u64::from_le_bytes(b))
    };
    let cs = word(rseq + 8)?;
    if cs == 0 {
        return Ok(());
    }
    let (start, len, abort) = (word(cs.wrapping_add(8))?, word(cs.wrapping_add(16))?, word(cs.wrapping_add(24))?);
    if regs.rip.wrapping_sub(start) < len {
        regs.rip = abort;
    }
    memory.write(rseq + 8, &[0; 8])?;
    Ok(())
}
