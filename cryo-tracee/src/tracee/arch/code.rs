//! The machine code that we put into other processes: it makes the system calls of a table, one after another. It is code of 64 bits, in a 32-bit process, too.
//!
//! In a host it ends in int3. In a program that shall go on it does not need us: see [`SelfRestoring`].

use std::arch::global_asm;

use super::{Arch, Regs};
use crate::sys::Dispatch;

/// Bit of a call's number in the table: it is one of i386, made by `int 0x80`.
pub const I386_CALL: u64 = 1 << 32;

// r15 = table, r14 = number of entries, rbx = 1 to stop at the first error. An entry is eight words: number, six arguments, result.
// A call of i386 takes its arguments in other registers, and here five of them (rbp is the program's all the time); rbx is meanwhile where the result will be.
macro_rules! table {
    ($($end:literal,)*) => {
        concat!(
            "2: mov rax, [r15]\n",
            "mov rdi, [r15 + 8]\n",
            "bt rax, 32\n",
            "jc 7f\n",
            "mov rsi, [r15 + 16]\n",
            "mov rdx, [r15 + 24]\n",
            "mov r10, [r15 + 32]\n",
            "mov r8, [r15 + 40]\n",
            "mov r9, [r15 + 48]\n",
            "syscall\n",
            "jmp 8f\n",
            "7: mov [r15 + 56], rbx\n",
            "mov ebx, edi\n",
            "mov ecx, [r15 + 16]\n",
            "mov edx, [r15 + 24]\n",
            "mov esi, [r15 + 32]\n",
            "mov edi, [r15 + 40]\n",
            "int 0x80\n",
            "mov rbx, [r15 + 56]\n",
            "8: mov [r15 + 56], rax\n",
            "cmp rax, -4095\n",
            "jb 3f\n",
            "test ebx, ebx\n",
            "jnz 4f\n",
            "3: add r15, 64\n",
            "dec r14\n",
            "jnz 2b\n",
            "4:\n",
            $($end, "\n",)*
        )
    };
}

global_asm!(
    ".pushsection .rodata",
    ".global cryo_stub_begin",
    ".global cryo_stub_end",
    "cryo_stub_begin:",
    table!("int3",),
    "cryo_stub_end:",
    ".popsection",
);

// What is executed in a program that shall go on. r12 = where to go if nobody takes over behind the event.
global_asm!(
    ".pushsection .rodata",
    ".global cryo_restoring_begin",
    ".global cryo_restoring_table",
    ".global cryo_restoring_map",
    ".global cryo_restoring_copy",
    ".global cryo_restoring_announce",
    ".global cryo_restoring_event",
    ".global cryo_restoring_unmap",
    ".global cryo_restoring_restore",
    ".global cryo_restoring_masked",
    ".global cryo_restoring_to_more",
    ".global cryo_restoring_load",
    ".global cryo_restoring_jump",
    ".global cryo_restoring_data",
    ".global cryo_restoring_more",
    ".global cryo_restoring_load_more",
    ".global cryo_restoring_more_data",
    ".balign 8",
    // One call, for which the registers are set; r14 = its result.
    "cryo_restoring_begin:",
    "syscall",
    "mov r14, rax",
    "jmp 5f",
    // The call that makes the scratch mapping.
    "cryo_restoring_map:",
    "syscall",
    "mov r13, rax",
    "jmp 5f",
    // A forked copy: made by a process in between, which ends and is waited for here, so that the copy is not the program's child.
    "cryo_restoring_copy:",
    "xor edi, edi",
    "xor esi, esi",
    "xor edx, edx",
    "xor r10d, r10d",
    "xor r8d, r8d",
    "mov eax, 56", // clone
    "syscall",
    "mov r14, rax",
    "test rax, rax",
    "js 5f",
    "jnz 6f",
    "xor edi, edi",
    "mov eax, 56",
    "syscall",
    // Both end here; of the copy only who traces it makes something else.
    "xor edi, edi",
    "mov eax, 231", // exit_group
    "syscall",
    "6: mov rdi, r14",
    "mov edx, 0x40000000", // __WALL
    "mov eax, 61",         // wait4
    "syscall",
    "jmp 5f",
    "cryo_restoring_table:",
    table!(),
    // The event that ends the calls: a signal to itself which means nothing to the program, or none. Its tracer sees it, nobody else does.
    "cryo_restoring_announce:",
    "5: mov edi, [rip + cryo_restoring_data + 80]",
    "mov esi, [rip + cryo_restoring_data + 84]",
    "mov edx, [rip + cryo_restoring_data + 88]",
    "mov eax, 234", // tgkill
    "syscall",
    "cryo_restoring_event:",
    "jmp r12",
    // r13 = the scratch mapping
    "cryo_restoring_unmap:",
    "mov rdi, r13",
    "mov esi, [rip + cryo_restoring_data + 92]",
    "mov eax, 11", // munmap
    "syscall",
    // From here on only instructions that leave the flags alone, and the stack is the program's.
    "cryo_restoring_restore:",
    "lea rsp, [rip + cryo_restoring_data + 64]",
    "popfq",
    "mov rsp, [rip + cryo_restoring_data + 48]",
    "cryo_restoring_masked:",
    "lea rsi, [rip + cryo_restoring_data + 72]",
    "mov edi, 2", // SIG_SETMASK
    "mov edx, 0",
    "mov r10d, 8",
    "mov eax, 14", // rt_sigprocmask
    "syscall",
    "cryo_restoring_to_more:",
    "jmp cryo_restoring_more",
    "cryo_restoring_load:",
    "mov rax, [rip + cryo_restoring_data]",
    "mov rcx, [rip + cryo_restoring_data + 8]",
    "mov rdx, [rip + cryo_restoring_data + 16]",
    "mov rbx, [rip + cryo_restoring_data + 24]",
    "mov rsi, [rip + cryo_restoring_data + 32]",
    "mov rdi, [rip + cryo_restoring_data + 40]",
    "cryo_restoring_jump:",
    "jmp [rip + cryo_restoring_data + 56]",
    ".balign 8",
    "cryo_restoring_data:",
    ".skip 96",
    // What a 32-bit thread has not: in its vDSO is little room.
    "cryo_restoring_more:",
    // Only where system calls were dispatched to the program itself; the last call, then.
    "mov edi, 59", // PR_SET_SYSCALL_USER_DISPATCH
    "mov rsi, [rip + cryo_restoring_more_data + 64]",
    "mov rdx, [rip + cryo_restoring_more_data + 80]",
    "mov r10, [rip + cryo_restoring_more_data + 88]",
    "mov r8, [rip + cryo_restoring_more_data + 72]",
    "mov eax, 157", // prctl
    "syscall",
    "cryo_restoring_load_more:",
    "mov r8, [rip + cryo_restoring_more_data]",
    "mov r9, [rip + cryo_restoring_more_data + 8]",
    "mov r10, [rip + cryo_restoring_more_data + 16]",
    "mov r11, [rip + cryo_restoring_more_data + 24]",
    "mov r12, [rip + cryo_restoring_more_data + 32]",
    "mov r13, [rip + cryo_restoring_more_data + 40]",
    "mov r14, [rip + cryo_restoring_more_data + 48]",
    "mov r15, [rip + cryo_restoring_more_data + 56]",
    "jmp cryo_restoring_load",
    ".balign 8",
    "cryo_restoring_more_data:",
    ".popsection",
);

unsafe extern "C" {
    static cryo_stub_begin: [u8; 0];
    static cryo_stub_end: [u8; 0];
    static cryo_restoring_begin: [u8; 0];
    static cryo_restoring_table: [u8; 0];
    static cryo_restoring_map: [u8; 0];
    static cryo_restoring_copy: [u8; 0];
    static cryo_restoring_announce: [u8; 0];
    static cryo_restoring_event: [u8; 0];
    static cryo_restoring_unmap: [u8; 0];
    static cryo_restoring_restore: [u8; 0];
    static cryo_restoring_masked: [u8; 0];
    static cryo_restoring_to_more: [u8; 0];
    static cryo_restoring_load: [u8; 0];
    static cryo_restoring_jump: [u8; 0];
    static cryo_restoring_data: [u8; 0];
    static cryo_restoring_more: [u8; 0];
    static cryo_restoring_load_more: [u8; 0];
    static cryo_restoring_more_data: [u8; 0];
}

/// The bytes between two labels.
pub(in crate::tracee) fn between(begin: &'static [u8; 0], end: &'static [u8; 0]) -> &'static [u8] {
    // SAFETY: called for two symbols of .rodata that are defined above in this order; the bytes between them are initialised and never change.
    unsafe {
        let (begin, end) = (begin.as_ptr(), end.as_ptr());
        std::slice::from_raw_parts(begin, end.offset_from_unsigned(begin))
    }
}

/// Bytes of a host's stub.
pub fn stub() -> &'static [u8] {
    // SAFETY: both are symbols of ours.
    between(unsafe { &cryo_stub_begin }, unsafe { &cryo_stub_end })
}

const NOP: u8 = 0x90;

/// The second byte of `jmp` through memory: to an address, and to an address in another code segment (the operand is a selector more).
const JUMP: u8 = 0x25;
const FAR_JUMP: u8 = 0x2d;

/// `syscall`.
pub const SYSCALL: [u8; 2] = [0x0f, 0x05];

/// Where an instruction stands in a host's stub.
pub fn in_stub(instruction: [u8; 2]) -> u64 {
    stub().windows(2).position(|w| w == instruction).unwrap_or(0) as u64
}

/// What a thread was before calls were made in it: the data behind the code that makes it so again.
///
/// A thread whose tracer is killed goes on with whatever registers it has. While calls are made in a program, these always lead into this code, which
/// finishes the calls, puts everything back and goes on where the program was.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SelfRestoring {
    rax: u64,
    rcx: u64,
    rdx: u64,
    rbx: u64,
    rsi: u64,
    rdi: u64,
    rsp: u64,
    /// In a 32-bit thread the upper half has the code segment.
    rip: u64,
    eflags: u64,
    mask: u64,
    tgid: i32,
    tid: i32,
    signal: i32,
    scratch: u32,
    more: More,
    /// Data no more: whether it goes back into a code segment of its own.
    far: u64,
}

/// The data of the part that is left out of a 32-bit thread's code.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct More {
    r8: u64,
    r9: u64,
    r10: u64,
    r11: u64,
    r12: u64,
    r13: u64,
    r14: u64,
    r15: u64,
    dispatch: Dispatch,
}

/// What else belongs to [`SelfRestoring`].
#[derive(Clone, Copy, Debug)]
pub struct Rest {
    /// What the thread blocks.
    pub mask: u64,
    /// The signal that is its event; 0 for none.
    pub signal: i32,
    /// Bytes of the scratch mapping.
    pub scratch: u32,
    /// Who answers its system calls.
    pub dispatch: Dispatch,
}

/// Room for the code and its data.
pub const CODE_ROOM: usize = 640;
/// The same in a 32-bit thread.
pub const CODE_ROOM_I386: usize = 448;

/// Places in the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Makes one call; its result is in r14.
    Call,
    /// Makes the scratch mapping; its address is in r13.
    Map,
    /// Makes the calls of a table.
    Table,
    /// Makes a copy of the process; r14 is the result of the first clone.
    Copy,
    /// Makes the event: the end of other code of ours.
    Announce,
    /// Where the event finds it.
    Event,
    /// Takes the scratch mapping at r13 away, and goes on as the program.
    Unmap,
    /// Goes on as the program.
    Restore,
    /// The same with the program's own flags and stack already.
    Masked,
}

impl Entry {
    /// Offset in the code.
    pub fn offset(self) -> u64 {
        // SAFETY: all are symbols of ours, and none is before the first.
        unsafe {
            let at = match self {
                Self::Call => &cryo_restoring_begin,
                Self::Map => &cryo_restoring_map,
                Self::Table => &cryo_restoring_table,
                Self::Copy => &cryo_restoring_copy,
                Self::Announce => &cryo_restoring_announce,
                Self::Event => &cryo_restoring_event,
                Self::Unmap => &cryo_restoring_unmap,
                Self::Restore => &cryo_restoring_restore,
                Self::Masked => &cryo_restoring_masked,
            };
            between(&cryo_restoring_begin, at).len() as u64
        }
    }
}

impl SelfRestoring {
    /// What a thread is that stands with these registers, of which `signal` makes the event.
    ///
    /// An interrupted call is made again by the kernel when it lets a thread go from its stop; here it is done by the thread itself
    /// (arch/x86/kernel/signal.c, arch_do_signal_or_restart).
    pub fn of(regs: &Regs, (tgid, tid): (i32, i32), rest: Rest) -> Self {
        let Rest { mask, signal, scratch, dispatch } = rest;
        let (mut rax, mut rip) = (regs.rax, regs.rip);
        let arch = Arch::of_code(regs);
        if let Some((arch, (number, _))) = arch.and_then(|arch| Some((arch, arch.call(regs)?))) {
            let number = match -(rax as i64) {
                512..=514 => Some(number),
                516 => Some(arch.restart_syscall()),
                _ => None,
            };
            if let Some(number) = number {
                // Both instructions that make calls are two bytes long.
                (rax, rip) = (number as u64, rip - SYSCALL.len() as u64);
            }
        }
        let far = arch != Some(Arch::X86_64);
        if far {
            rip = rip & 0xffff_ffff | regs.cs << 32;
        }
        Self {
            rax,
            rcx: regs.rcx,
            rdx: regs.rdx,
            rbx: regs.rbx,
            rsi: regs.rsi,
            rdi: regs.rdi,
            rsp: regs.rsp,
            rip,
            eflags: regs.eflags,
            mask,
            tgid,
            tid,
            signal,
            scratch,
            more: More {
                r8: regs.r8,
                r9: regs.r9,
                r10: regs.r10,
                r11: regs.r11,
                r12: regs.r12,
                r13: regs.r13,
                r14: regs.r14,
                r15: regs.r15,
                dispatch,
            },
            far: far.into(),
        }
    }

    /// The code with this in it: `CODE_ROOM` bytes at most; of a 32-bit thread `CODE_ROOM_I386`, unless its system calls are dispatched.
    pub fn code(&self) -> Vec<u8> {
        // SAFETY: symbols of ours.
        let begin = unsafe { &cryo_restoring_begin };
        // SAFETY: symbols of ours, none before the first.
        let offset = |label: &'static [u8; 0]| between(begin, label).len();
        // SAFETY: symbols of ours, as above.
        let [to_more, load, jump, data, more, load_more, more_data] = unsafe {
            [
                offset(&cryo_restoring_to_more),
                offset(&cryo_restoring_load),
                offset(&cryo_restoring_jump),
                offset(&cryo_restoring_data),
                offset(&cryo_restoring_more),
                offset(&cryo_restoring_load_more),
                offset(&cryo_restoring_more_data),
            ]
        };
        // SAFETY: two symbols of ours, in this order.
        let mut bytes = between(begin, unsafe { &cryo_restoring_more_data }).to_vec();
        // SAFETY: a repr(C) structure of integers without padding.
        let words: [u8; size_of::<Self>()] = unsafe { std::mem::transmute_copy(self) };
        let (own, rest) = words.split_at(more - data);
        bytes[data..more].copy_from_slice(own);
        if self.far != 0 {
            debug_assert_eq!(bytes[jump..jump + 2], [0xff, JUMP]);
            bytes[jump + 1] = FAR_JUMP;
        }
        if self.more.dispatch.mode == 0 {
            bytes[more..load_more].fill(NOP);
            if self.far != 0 {
                bytes[to_more..load].fill(NOP);
                bytes.truncate(more);
                return bytes;
            }
        }
        debug_assert_eq!(bytes.len(), more_data);
        bytes.extend_from_slice(&rest[..size_of::<More>()]);
        bytes
    }
}

/// What the code begins with, by which one that was left behind is known.
pub fn mark() -> &'static [u8] {
    // SAFETY: two symbols of ours, in this order.
    between(unsafe { &cryo_restoring_begin }, unsafe { &cryo_restoring_table })
}

#[cfg(test)]
mod tests {
    use super::super::i386;
    use super::*;

    /// A thread of 32 bits goes back into its own code segment, to the call that it was in.
    #[test]
    fn a_thread_of_i386_goes_back_to_where_it_was() {
        let mut regs: Regs = super::super::no_regs();
        (regs.cs, regs.rip, regs.rax, regs.orig_rax) = (i386::CS, 0xf7f2_55e9, -516_i64 as u64, 162);
        let rest = Rest { mask: 0, signal: 3, scratch: 4, dispatch: Dispatch::default() };
        let back = SelfRestoring::of(&regs, (1, 2), rest);
        assert_eq!((back.rip, back.rax), (0x23_f7f2_55e7, 0));
        let code = back.code();
        assert!(code.len() <= CODE_ROOM_I386, "{}", code.len());
        // SAFETY: symbols of ours, in this order.
        let jump = between(unsafe { &cryo_restoring_begin }, unsafe { &cryo_restoring_jump }).len();
        assert_eq!(code[jump..jump + 2], [0xff, FAR_JUMP]);
        assert_ne!(in_stub(i386::INT80), 0);
    }

    #[test]
    fn the_code_has_room_and_its_data_where_it_looks_for_it() {
        let regs: Regs = super::super::no_regs();
        let rest = Rest { mask: 0, signal: 3, scratch: 4, dispatch: Dispatch::default() };
        let code = SelfRestoring::of(&regs, (1, 2), rest);
        assert!(code.code().len() <= CODE_ROOM, "{}", code.code().len());
        assert_eq!(std::mem::offset_of!(SelfRestoring, rsp), 48);
        assert_eq!(std::mem::offset_of!(SelfRestoring, rip), 56);
        assert_eq!(std::mem::offset_of!(SelfRestoring, eflags), 64);
        assert_eq!(std::mem::offset_of!(SelfRestoring, mask), 72);
        assert_eq!(std::mem::offset_of!(SelfRestoring, tgid), 80);
        assert_eq!(std::mem::offset_of!(SelfRestoring, scratch), 92);
        assert_eq!(std::mem::offset_of!(SelfRestoring, more), 96);
        assert_eq!(std::mem::offset_of!(More, r15), 56);
        assert_eq!(std::mem::offset_of!(More, dispatch), 64);
        assert_eq!(std::mem::offset_of!(Dispatch, selector), 8);
        assert_eq!(std::mem::offset_of!(Dispatch, offset), 16);
        assert_eq!(std::mem::offset_of!(Dispatch, len), 24);
    }
}
