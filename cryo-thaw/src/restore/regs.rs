//! `RX64` and `RI32`: general registers, the last thing before the process is let go.

use cryo_format::section::ldt::Ldt;
use cryo_format::section::regs::{RegsI386, RegsX86_64};
use cryo_format::section::tls::Tls;
use cryo_tracee::{Arch, Memory, Regs};

use crate::Result;
use crate::ice::Ice;

/// Those of thread `id` of the process `process`, as the kernel takes them.
pub fn of_thread(ice: &Ice, process: u64, id: u64) -> Result<Regs> {
    match ice.arch(process) {
        Arch::X86_64 => Ok(regs(ice.need::<RegsX86_64>(id)?)),
        Arch::I386 => {
            let (tls, ldt) = (ice.get::<Tls>(id), ice.get::<Ldt>(process));
            Ok(i386(ice.need::<RegsI386>(id)?, |selector| base(selector, tls, ldt)))
        }
    }
}

/// Where the segment begins that a selector leads to, which the kernel keeps beside it (fs_base, gs_base).
fn base(selector: u32, tls: Option<&Tls>, ldt: Option<&Ldt>) -> u64 {
    /// The table indicator of a selector.
    const LOCAL: u32 = 4;
    let entry = selector >> 3;
    let base = if selector & LOCAL != 0 {
        ldt.and_then(|ldt| ldt.entries.iter().find(|e| e.entry == entry)).map(|e| e.base)
    } else {
        tls.and_then(|tls| tls.entries.iter().find(|e| e.entry == entry)).map(|e| e.base)
    };
    base.unwrap_or(0).into()
}

fn i386(r: &RegsI386, base: impl Fn(u32) -> u64) -> Regs {
    // The kernel tells by the whole word whether a call is to be restarted, and a number from none.
    let signed = |word: u32| i64::from(word as i32) as u64;
    let in_call = r.orig_eax as i32 >= 0;
    Regs {
        r15: 0,
        r14: 0,
        r13: 0,
        r12: 0,
        rbp: r.ebp.into(),
        rbx: r.ebx.into(),
        r11: 0,
        r10: 0,
        r9: 0,
        r8: 0,
        rax: if in_call { signed(r.eax) } else { r.eax.into() },
        rcx: r.ecx.into(),
        rdx: r.edx.into(),
        rsi: r.esi.into(),
        rdi: r.edi.into(),
        orig_rax: signed(r.orig_eax),
        rip: r.eip.into(),
        cs: r.cs.into(),
        eflags: r.eflags.into(),
        rsp: r.esp.into(),
        ss: r.ss.into(),
        fs_base: base(r.fs),
        gs_base: base(r.gs),
        ds: r.ds.into(),
        es: r.es.into(),
        fs: r.fs.into(),
        gs: r.gs.into(),
    }
}

/// As the kernel takes them.
fn regs(r: &RegsX86_64) -> Regs {
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
