//! The machines whose programs are frozen on this one: x86-64, and i386 under the same kernel. What differs between them is here, and nothing else knows.
//!
//! A tracer of 64 bits sees a thread of either through the same structure (PTRACE_GETREGS), and may set its code segment. So a 32-bit thread makes remote
//! calls as any other: it executes our code (`code`) as 64-bit code, and has its own segment again afterwards. Nothing of 64 bits is left behind in the
//! kernel by that, but where the kernel keeps something for each of the two interfaces (a handler's kind, a robust list, the restart of a sleep), the call
//! has to be one of i386's, by `int 0x80` ([`Batch::call_i386`](crate::Batch::call_i386)).

pub(super) mod code;
pub mod i386;
pub mod x86_64;

use std::io;

use crate::{Error, Memory, Result, proc};

/// General registers, the structure of x86-64 (sys/user.h). Of a 32-bit thread the lower halves of its registers are in it, and its selectors.
pub type Regs = libc::user_regs_struct;

/// A machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arch {
    /// 64-bit programs.
    X86_64,
    /// 32-bit programs.
    I386,
}

impl Arch {
    /// That of a process: by its auxiliary vector, which the kernel has made of words of its own size, and which is there whatever its threads do.
    pub fn of_process(pid: i32) -> Self {
        // A main thread that has exited has none any more.
        let auxv = |tid| Some(u64::from_le_bytes(*proc::bytes(tid, "auxv").ok()?.first_chunk()?));
        let first = auxv(pid).or_else(|| proc::tasks(pid).ok()?.into_iter().find_map(auxv)).unwrap_or(0);
        // A type is a small number; two words of 32 bits together are not.
        if first >> 32 == 0 { Self::X86_64 } else { Self::I386 }
    }

    /// That of the code which a thread executes; `None` for code in a segment of its own making (modify_ldt(2)).
    pub fn of_code(regs: &Regs) -> Option<Self> {
        match regs.cs {
            x86_64::CS => Some(Self::X86_64),
            i386::CS => Some(Self::I386),
            _ => None,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86-64",
            Self::I386 => "i386",
        }
    }

    /// ELF's number for it (`e_machine`).
    pub fn elf(self) -> u16 {
        match self {
            Self::X86_64 => x86_64::EM,
            Self::I386 => i386::EM,
        }
    }

    /// The end of its address space, as far as programs may use it.
    pub fn user_end(self, personality: u64) -> u64 {
        match self {
            Self::X86_64 => x86_64::USER_END,
            Self::I386 if personality & i386::ADDR_LIMIT_3GB != 0 => i386::USER_END_3GB,
            Self::I386 => i386::USER_END,
        }
    }

    /// The flag of mmap(2) with which a remote call gets memory anywhere. The kernel looks for it where the interface of the call is at home, and that is
    /// beyond the space of a 32-bit process.
    pub fn anywhere(self) -> i32 {
        match self {
            Self::X86_64 => 0,
            Self::I386 => libc::MAP_32BIT,
        }
    }

    /// The call that a thread was stopped in, by its own number, with its arguments.
    pub fn call(self, regs: &Regs) -> Option<(i64, [u64; 6])> {
        let (number, args) = match self {
            Self::X86_64 => (regs.orig_rax as i64, x86_64::args(regs)),
            Self::I386 => (i64::from(regs.orig_rax as i32), i386::args(regs)),
        };
        (number >= 0).then_some((number, args))
    }

    /// What stands for argument `i` in its registers.
    pub fn arg_mut(self, regs: &mut Regs, i: usize) -> &mut u64 {
        match self {
            Self::X86_64 => x86_64::arg_mut(regs, i),
            Self::I386 => i386::arg_mut(regs, i),
        }
    }

    /// The same call as x86-64 knows it.
    pub fn usual(self, number: i64, args: [u64; 6]) -> Usual {
        match self {
            Self::X86_64 => Usual { number, args, times: Times::Long, places: [0, 1, 2, 3, 4, 5] },
            Self::I386 => i386::usual(number, args),
        }
    }

    /// restart_syscall(2).
    pub fn restart_syscall(self) -> i64 {
        match self {
            Self::X86_64 => libc::SYS_restart_syscall,
            Self::I386 => i386::RESTART_SYSCALL,
        }
    }

    /// Bytes of a word.
    pub fn word(self) -> usize {
        match self {
            Self::X86_64 => 8,
            Self::I386 => 4,
        }
    }

    /// Bytes as its words.
    pub fn words(self, bytes: &[u8]) -> Vec<u64> {
        match self {
            Self::X86_64 => bytes.as_chunks().0.iter().map(|w| u64::from_le_bytes(*w)).collect(),
            Self::I386 => bytes.as_chunks().0.iter().map(|w| u32::from_le_bytes(*w).into()).collect(),
        }
    }

    /// A number as one of its words.
    pub fn word_of(self, value: u64) -> Vec<u8> {
        value.to_le_bytes()[..self.word()].to_vec()
    }

    /// get_robust_list(2) of any thread that we may trace: head and size. The kernel has one for each interface.
    pub fn robust_list(self, tid: i32) -> Result<(u64, u64)> {
        let done = match self {
            Self::X86_64 => x86_64::robust_list(tid),
            Self::I386 => i386::robust_list(tid),
        };
        done.map_err(|e: io::Error| Error::sys(format!("get_robust_list of thread {tid}"), e))
    }
}

/// A system call as x86-64 knows it: programs of both machines make the same calls, by other numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usual {
    /// Its number on x86-64; -1 for one that is of no concern here.
    pub number: i64,
    /// Its arguments in the order of x86-64.
    pub args: [u64; 6],
    /// How times are laid out that it takes.
    pub times: Times,
    /// Which of the thread's own arguments each of these is.
    pub places: [usize; 6],
}

/// How a `struct timespec` is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// Two words of 64 bits.
    Long,
    /// Two of 32 bits: what i386 had before 2038 came near.
    Short,
}

impl Times {
    /// The time at `at`, in nanoseconds; `None` if there is none.
    pub fn read(self, memory: &Memory, at: u64) -> Option<u64> {
        let mut raw = [0; 16];
        let (sec, nsec) = match self {
            Self::Long => {
                memory.read(at, &mut raw).ok()?;
                (u64::from_le_bytes(*raw.first_chunk()?), u64::from_le_bytes(*raw.last_chunk()?))
            }
            Self::Short => {
                memory.read(at, &mut raw[..8]).ok()?;
                let (sec, nsec) = (raw.first_chunk()?, raw[4..].first_chunk()?);
                (u32::from_le_bytes(*sec).into(), u32::from_le_bytes(*nsec).into())
            }
        };
        (sec < 1 << 40 && nsec < 1_000_000_000).then(|| sec.saturating_mul(1_000_000_000).saturating_add(nsec))
    }

    /// So many nanoseconds.
    pub fn bytes(self, ns: u64) -> Vec<u8> {
        let (sec, nsec) = (ns / 1_000_000_000, ns % 1_000_000_000);
        match self {
            Self::Long => [sec, nsec].map(u64::to_le_bytes).concat(),
            Self::Short => [sec.min(i32::MAX as u64) as u32, nsec as u32].map(u32::to_le_bytes).concat(),
        }
    }
}

/// All of them zero.
#[cfg(test)]
fn no_regs() -> Regs {
    // SAFETY: a structure of integers.
    unsafe { std::mem::zeroed() }
}
