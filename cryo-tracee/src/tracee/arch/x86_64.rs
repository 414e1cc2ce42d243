//! x86-64.

use std::io;

use super::Regs;

/// ELF's number for it.
pub const EM: u16 = 62;
/// The segment of 64-bit code (__USER_CS, arch/x86/include/asm/segment.h).
pub const CS: u64 = 0x33;
/// The end of the address space: with four levels of page tables, and of what mmap(2) gives unasked with five.
pub const USER_END: u64 = 0x7fff_ffff_f000;

pub(super) fn args(r: &Regs) -> [u64; 6] {
    [r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9]
}

pub(super) fn arg_mut(r: &mut Regs, i: usize) -> &mut u64 {
    match i {
        0 => &mut r.rdi,
        1 => &mut r.rsi,
        2 => &mut r.rdx,
        3 => &mut r.r10,
        4 => &mut r.r8,
        _ => &mut r.r9,
    }
}

pub(super) fn robust_list(tid: i32) -> io::Result<(u64, u64)> {
    let (mut head, mut len) = (0_u64, 0_u64);
    // SAFETY: the kernel writes one word to each of the two.
    let r = unsafe { libc::syscall(libc::SYS_get_robust_list, tid, &raw mut head, &raw mut len) };
    if r < 0 { Err(io::Error::last_os_error()) } else { Ok((head, len)) }
}
