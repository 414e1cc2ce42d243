//! x86-64.

use cryo_format::prim::Addr;
use cryo_format::section::regs::RegsX86_64;

use super::{Dwarf, Procfs};

/// Registers in DWARF's order (System V ABI, AMD64 supplement, 3.6.2).
pub const DWARF: Dwarf = Dwarf {
    names: &[
        "rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
        "rip",
    ],
    fp: 6,
    sp: 7,
};

/// Structures of a core.
pub const PROCFS: Procfs = Procfs {
    status: 336,
    mask: 24,
    ids: 32,
    registers: 112,
    fpvalid: 328,
    info: 136,
    owners: 16,
    owner: 4,
    info_ids: 24,
    name: 40,
    arguments: 56,
};

/// The registers of a thread with their names.
pub fn registers(r: &mut RegsX86_64) -> [(&'static str, &mut Addr); 27] {
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
