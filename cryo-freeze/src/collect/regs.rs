//! `RX64`: general registers.

use cryo_format::prim::Addr;
use cryo_format::section::regs::RegsX86_64;
use cryo_tracee::proc::Mapping;
use cryo_tracee::{AWAY, Regs, Stopped};

use super::{Collected, refuse};
use crate::Result;

/// A vDSO function is left in far fewer steps; a loop there means that something is wrong.
const STEPS: usize = 20_000;

/// A thread inside the vDSO holds pointers into the kernel's own pages and has perhaps read half of a time: another kernel's vDSO cannot go on
/// from there. Its functions are short, so the thread is stepped out of it. Signals wait meanwhile.
pub fn leave_vdso(thread: &mut Stopped, vdso: &Mapping) -> Result<()> {
    let inside = |rip: u64| (vdso.start..vdso.end).contains(&rip);
    if !inside(thread.regs()?.rip) {
        return Ok(());
    }
    let mask = thread.sigmask()?;
    thread.set_sigmask(AWAY)?;
    let stepped = (|| {
        for _ in 0..STEPS {
            thread.step()?;
            if !inside(thread.regs()?.rip) {
                return Ok(());
            }
        }
        refuse(format!("thread {} does not leave the vDSO", thread.tid()))
    })();
    thread.set_sigmask(mask)?;
    stepped
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
