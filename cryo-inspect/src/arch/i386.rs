//! i386: 32-bit processes, under the kernel of x86-64.

use cryo_format::section::regs::RegsI386;
use cryo_format::section::tls::{Tls, TlsEntry};
use object::elf;

use super::{CoreNote, Dwarf, Procfs, Registers};

/// Registers in DWARF's order (System V ABI, Intel386 supplement, 2.4.2).
pub const DWARF: Dwarf =
    Dwarf { names: &["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "eip"], fp: 5, sp: 4 };

/// Structures of a core.
pub const PROCFS: Procfs = Procfs {
    status: 144,
    mask: 20,
    ids: 24,
    registers: 72,
    fpvalid: 140,
    info: 124,
    owners: 8,
    owner: 2,
    info_ids: 12,
    name: 28,
    arguments: 44,
};

/// The first of the three entries of the GDT that are a thread's own, under a kernel of 64 bits.
const TLS_MIN: u32 = 12;
/// Bits of an entry that is empty, as the kernel shows it: read_exec_only, seg_not_present.
const TLS_EMPTY: u32 = 0b10_1000;

/// The registers of a thread with their names.
pub fn registers(r: &mut RegsI386) -> [(&'static str, &mut u32); 17] {
    [
        ("ebx", &mut r.ebx),
        ("ecx", &mut r.ecx),
        ("edx", &mut r.edx),
        ("esi", &mut r.esi),
        ("edi", &mut r.edi),
        ("ebp", &mut r.ebp),
        ("eax", &mut r.eax),
        ("ds", &mut r.ds),
        ("es", &mut r.es),
        ("fs", &mut r.fs),
        ("gs", &mut r.gs),
        ("orig_eax", &mut r.orig_eax),
        ("eip", &mut r.eip),
        ("cs", &mut r.cs),
        ("eflags", &mut r.eflags),
        ("esp", &mut r.esp),
        ("ss", &mut r.ss),
    ]
}

/// As FSAVE has it (struct user_i387_ia32_struct), and as FXSAVE (struct user32_fxsr_struct).
pub fn float_notes(fxsave: &[u8; 512], registers: &Registers) -> Vec<CoreNote> {
    vec![(b"CORE", elf::NT_PRFPREG.0, fsave(fxsave, registers)), (b"LINUX", elf::NT_PRXFPREG.0, fxsave.to_vec())]
}

/// x87 in the old layout, as the kernel makes it of the new one (arch/x86/kernel/fpu/regset.c): 28 bytes, and eight registers of ten.
fn fsave(fxsave: &[u8; 512], registers: &Registers) -> Vec<u8> {
    let half = |at: usize| u32::from(fxsave[at]) | u32::from(fxsave[at + 1]) << 8;
    let word = |at: usize| half(at) | half(at + 2) << 16;
    let selector = |name| registers.get(name).unwrap_or_default() as u32 & 0xffff;
    let (control, status, used) = (half(0), half(2), half(4));
    let top = status >> 11 & 7;
    // FXSAVE says of each register whether it is in use; FSAVE says also what is in it: 0 a number, 1 zero, 2 something special, 3 nothing.
    let tags = (0..8).fold(0, |tags, i| {
        let place = (i as usize + 8 - top as usize) & 7;
        let st = &fxsave[32 + 16 * place..][..10];
        let exponent = (u32::from(st[8]) | u32::from(st[9]) << 8) & 0x7fff;
        let tag = match exponent {
            _ if used >> i & 1 == 0 => 3,
            0 if st[..8].iter().all(|b| *b == 0) => 1,
            1..0x7fff if st[7] & 0x80 != 0 => 0,
            _ => 2,
        };
        tags | tag << (2 * i)
    });
    // The selectors of the last instruction and of its operand are not kept by a kernel of 64 bits: it shows those of the thread.
    let above = 0xffff << 16;
    let head =
        [control | above, status | above, tags | above, word(8), selector("cs"), word(16), selector("ds") | above];
    let mut out: Vec<u8> = head.into_iter().flat_map(u32::to_le_bytes).collect();
    (0..8).for_each(|i| out.extend(&fxsave[32 + 16 * i..][..10]));
    out
}

/// NT_386_TLS: struct user_desc of each entry, up to the last one that is in use.
pub fn segment_notes(tls: &Tls) -> Vec<CoreNote> {
    let of = |entry: u32| tls.entries.iter().find(|e| e.entry == entry);
    let Some(last) = (TLS_MIN..TLS_MIN + 3).rev().find(|entry| of(*entry).is_some()) else { return Vec::new() };
    let entries = (TLS_MIN..=last).flat_map(|entry| match of(entry) {
        Some(e) => [entry, e.base, e.limit, e.flags],
        None => [entry, 0, 0, TLS_EMPTY],
    });
    vec![(b"LINUX", elf::NT_386_TLS.0, entries.flat_map(u32::to_le_bytes).collect())]
}

/// And back: those that are in use.
pub fn segments(note: &[u8]) -> Option<Tls> {
    let of = |e: &[u8; 16]| {
        let [entry, base, limit, flags] =
            [0, 4, 8, 12].map(|at| u32::from_le_bytes([e[at], e[at + 1], e[at + 2], e[at + 3]]));
        TlsEntry { entry, base, limit, flags }
    };
    let used = note.as_chunks().0.iter().map(of).filter(|e| (e.base, e.limit, e.flags) != (0, 0, TLS_EMPTY));
    let entries: Vec<TlsEntry> = used.collect();
    (!entries.is_empty()).then(|| Tls { entries: entries.into() })
}

/// What a siginfo_t tells besides its signal, by its code (siginfo_layout() in kernel/signal.c): (offset on x86-64, offset on i386, bytes on i386) of each
/// field. Pointers and long integers have half their size.
pub fn siginfo(kernels: &[u8; 128]) -> [u8; 128] {
    const SIGCHLD: i32 = 17;
    const SIGPOLL: i32 = 29;
    const SIGSYS: i32 = 31;
    const SI_KERNEL: i32 = 0x80;
    const SI_SIGIO: i32 = -5;
    let word = |at: usize| i32::from_le_bytes([kernels[at], kernels[at + 1], kernels[at + 2], kernels[at + 3]]);
    let (signal, code) = (word(0), word(8));
    let fields: &[(usize, usize)] = match (code, signal) {
        // si_pid, si_uid, si_status, si_utime, si_stime.
        (1..SI_KERNEL, SIGCHLD) => &[(16, 12), (20, 16), (24, 20), (32, 24), (40, 28)],
        // si_band, si_fd.
        (1..SI_KERNEL, SIGPOLL) | (SI_SIGIO, _) => &[(16, 12), (24, 16)],
        // si_call_addr, si_syscall, si_arch.
        (1..SI_KERNEL, SIGSYS) => &[(16, 12), (24, 16), (28, 20)],
        // si_addr, si_addr_lsb or si_trapno.
        (1..SI_KERNEL, 4 | 5 | 7 | 8 | 11) => &[(16, 12), (24, 16)],
        // si_timerid and si_overrun, or si_pid and si_uid; si_value.
        (i32::MIN..=-1, _) => &[(16, 12), (20, 16), (24, 20)],
        _ => &[(16, 12), (20, 16)],
    };
    let mut out = [0; 128];
    out[..12].copy_from_slice(&kernels[..12]);
    for (from, to) in fields {
        out[*to..to + 4].copy_from_slice(&kernels[*from..from + 4]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::Arch;

    #[test]
    fn x87_in_the_old_layout() {
        let mut fxsave = [0; 512];
        fxsave[..2].copy_from_slice(&0x37f_u16.to_le_bytes());
        // Two registers on the stack, whose top is 6: 1.0 is st(0), 0.0 is st(1).
        fxsave[2..4].copy_from_slice(&(6_u16 << 11).to_le_bytes());
        fxsave[4] = 0b1100_0000;
        fxsave[32..42].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x3f]);
        let registers = Registers { arch: Arch::I386, values: vec![("cs", 0x23), ("ds", 0x2b)] };
        let made = fsave(&fxsave, &registers);
        assert_eq!(made.len(), 108);
        let word = |i: usize| u32::from_le_bytes([made[4 * i], made[4 * i + 1], made[4 * i + 2], made[4 * i + 3]]);
        // st(0) is register 6, st(1) register 7.
        assert_eq!([word(0), word(1), word(2)], [0xffff_037f, 0xffff_3000, 0xffff_4fff]);
        assert_eq!([word(4), word(6)], [0x23, 0xffff_002b]);
        assert_eq!(made[28..38], fxsave[32..42]);
    }

    #[test]
    fn a_queued_signal_has_its_value_nearer() {
        let mut kernels = [0; 128];
        for (at, word) in [(0, 34_i32), (8, -1), (16, 77), (20, 1000), (24, 5)] {
            kernels[at..at + 4].copy_from_slice(&word.to_le_bytes());
        }
        let made = siginfo(&kernels);
        let words: Vec<u32> = made.as_chunks().0.iter().map(|w| u32::from_le_bytes(*w)).collect();
        assert_eq!(words[..8], [34, 0, u32::MAX, 77, 1000, 5, 0, 0]);
    }
}
