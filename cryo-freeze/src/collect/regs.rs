//! `RX64`: general registers.

use cryo_format::prim::Addr;
use cryo_format::section::regs::RegsX86_64;
use cryo_tracee::proc::Mapping;
use cryo_tracee::{Regs, Stopped};

use super::{Collected, RefusalKind, refuse};
use crate::Result;

/// A thread inside the vDSO holds pointers into the kernel's own pages and has perhaps read half of a time: another kernel's vDSO cannot go on
/// from there. Where it was stopped in one it has been let out, see [`cryo_tracee::Process::seize`].
pub fn outside_vdso(thread: &Stopped, vdso: &Mapping) -> Result<()> {
    if (vdso.start..vdso.end).contains(&thread.regs()?.rip) {
        return refuse(RefusalKind::Busy, format!("thread {} does not leave the vDSO: try again", thread.tid()));
    }
    Ok(())
}

/// Adds the registers of a thread.
pub fn collect(id: u64, r: &Regs, out: &mut Collected) {
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
