//! `RX64` and `RI32`: general registers.

use cryo_format::prim::Addr;
use cryo_format::section::regs::{RegsI386, RegsX86_64};
use cryo_tracee::proc::Mapping;
use cryo_tracee::{Arch, Regs, Stopped, process};

use super::{Collected, RefusalKind, refuse};
use crate::Result;

/// A thread inside the vDSO holds pointers into the kernel's own pages and has perhaps read half of a time: another kernel's vDSO cannot go on
/// from there. Where it was stopped in one it has been let out, see [`cryo_tracee::Process::seize`].
pub fn outside_vdso(thread: &Stopped, vdso: &Mapping) -> Result<()> {
    if process::in_vdso(&thread.regs()?, &(vdso.start..vdso.end)) {
        return refuse(RefusalKind::Busy, format!("thread {} does not leave the vDSO: try again", thread.tid()));
    }
    Ok(())
}

/// Refuses a thread that executes code of another machine than its process's: the process is thawed as one of its own machine, whose kernel side is another.
pub fn own_code(thread: &Stopped, arch: Arch) -> Result<()> {
    let code = Arch::of_code(&thread.regs()?);
    if code == Some(arch) {
        return Ok(());
    }
    let what = match code {
        Some(Arch::I386) => "32-bit code in a 64-bit process",
        Some(Arch::X86_64) => "64-bit code in a 32-bit process",
        None => "code in a segment of its own making (modify_ldt(2))",
    };
    refuse(
        RefusalKind::Thread,
        format!("thread {} executes {what}, which is not carried: freeze it when it is out of there", thread.tid()),
    )
}

/// Adds the registers of a thread.
pub fn collect(id: u64, arch: Arch, r: &Regs, out: &mut Collected) {
    if arch == Arch::I386 {
        return out.add(id, i386(r));
    }
    let a = Addr;
    out.add(
        id,
        RegsX86_64 {
            r15: a(r.r15),
            r14: a(r.r14),
            r13: a(r.r13),
            r12: a(r.r12),
            rbp: a(r.rbp),
            rbx: a(r.rbx),
            r11: a(r.r11),
            r10: a(r.r10),
            r9: a(r.r9),
            r8: a(r.r8),
            rax: a(r.rax),
            rcx: a(r.rcx),
            rdx: a(r.rdx),
            rsi: a(r.rsi),
            rdi: a(r.rdi),
            orig_rax: a(r.orig_rax),
            rip: a(r.rip),
            cs: a(r.cs),
            eflags: a(r.eflags),
            rsp: a(r.rsp),
            ss: a(r.ss),
            fs_base: a(r.fs_base),
            gs_base: a(r.gs_base),
            ds: a(r.ds),
            es: a(r.es),
            fs: a(r.fs),
            gs: a(r.gs),
        },
    );
}

/// The lower halves.
fn i386(r: &Regs) -> RegsI386 {
    RegsI386 {
        ebx: r.rbx as u32,
        ecx: r.rcx as u32,
        edx: r.rdx as u32,
        esi: r.rsi as u32,
        edi: r.rdi as u32,
        ebp: r.rbp as u32,
        eax: r.rax as u32,
        ds: r.ds as u32,
        es: r.es as u32,
        fs: r.fs as u32,
        gs: r.gs as u32,
        orig_eax: r.orig_rax as u32,
        eip: r.rip as u32,
        cs: r.cs as u32,
        eflags: r.eflags as u32,
        esp: r.rsp as u32,
        ss: r.ss as u32,
    }
}
