//! The one piece of machine code that we put into other processes: it makes the system calls of a table, one after another.

use std::arch::global_asm;

// r15 = table, r14 = number of entries, r13 = 1 to stop at the first error. An entry is eight words: number, six arguments, result.
// It ends in int3: the tracer sees a SIGTRAP stop.
global_asm!(
    ".pushsection .rodata",
    ".global cryo_stub_begin",
    ".global cryo_stub_end",
    "cryo_stub_begin:",
    "2: mov rax, [r15]",
    "mov rdi, [r15 + 8]",
    "mov rsi, [r15 + 16]",
    "mov rdx, [r15 + 24]",
    "mov r10, [r15 + 32]",
    "mov r8, [r15 + 40]",
    "mov r9, [r15 + 48]",
    "syscall",
    "mov [r15 + 56], rax",
    "cmp rax, -4095",
    "jb 3f",
    "test r13d, r13d",
    "jnz 4f",
    "3: add r15, 64",
    "dec r14",
    "jnz 2b",
    "4: int3",
    "cryo_stub_end:",
    ".popsection",
);

unsafe extern "C" {
    static cryo_stub_begin: [u8; 0];
    static cryo_stub_end: [u8; 0];
}

/// Bytes of the stub.
pub fn stub() -> &'static [u8] {
    // SAFETY: both symbols are in .rodata, defined just above in this order; the bytes between them are initialised and never change.
    unsafe {
        let begin = (&raw const cryo_stub_begin).cast::<u8>();
        let end = (&raw const cryo_stub_end).cast::<u8>();
        std::slice::from_raw_parts(begin, end.offset_from_unsigned(begin))
    }
}

/// `syscall`.
pub const SYSCALL: [u8; 2] = [0x0f, 0x05];
