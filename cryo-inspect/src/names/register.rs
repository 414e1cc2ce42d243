//! Names of general registers.

use cryo_format::prim::Addr;
use cryo_format::section::regs::RegsX86_64;

/// The registers of an x86-64 thread with their names, in the order of struct user_regs_struct (sys/user.h), which is also that of an ELF core.
pub fn x86_64(r: &mut RegsX86_64) -> [(&'static str, &mut Addr); 27] {
    [
        ("r15", &mut r.r15),
        ("r14", &mut r.r14),
        ("r13", &mut r.r13),
        ("r12", &mut r.r12),
        ("rbp", &mut r.rbp),
        ("rbx", &mut r.rbx),
        ("r11", &mut r.r11),
        ("r10", &mut r.r10),
        ("r9", &mut r.r9),
        ("r8", &mut r.r8),
        ("rax", &mut r.rax),
        ("rcx", &mut r.rcx),
        ("rdx", &mut r.rdx),
        ("rsi", &mut r.rsi),
        ("rdi", &mut r.rdi),
        ("orig_rax", &mut r.orig_rax),
        ("rip", &mut r.rip),
        ("cs", &mut r.cs),
        ("rflags", &mut r.eflags),
        ("rsp", &mut r.rsp),
        ("ss", &mut r.ss),
        ("fs_base", &mut r.fs_base),
        ("gs_base", &mut r.gs_base),
        ("ds", &mut r.ds),
        ("es", &mut r.es),
        ("fs", &mut r.fs),
        ("gs", &mut r.gs),
    ]
}

/// One of them.
pub fn named<'a>(r: &'a mut RegsX86_64, name: &str) -> Option<&'a mut Addr> {
    x86_64(r).into_iter().find(|(n, _)| *n == name).map(|(_, register)| register)
}
