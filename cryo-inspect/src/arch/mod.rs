//! The machines whose processes are looked at: x86-64, and i386. What differs between them is here, and nothing else knows.

pub mod i386;
pub mod x86_64;

use cryo_format::header::EM_386;
use cryo_format::prim::Addr;
use cryo_format::section::AnySection;
use cryo_format::section::regs::{RegsI386, RegsX86_64};
use cryo_format::section::thread::Thread;
use cryo_format::section::tls::Tls;
use object::elf;

use crate::ice::Ice;

/// A machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arch {
    /// 64-bit processes.
    X86_64,
    /// 32-bit processes.
    I386,
}

/// Registers by DWARF's numbers (the psABI of the machine).
pub struct Dwarf {
    /// The name of each, the last one for the return address.
    pub names: &'static [&'static str],
    /// The number of the frame pointer.
    pub fp: usize,
    /// The number of the stack pointer.
    pub sp: usize,
}

impl Dwarf {
    /// The number of the return address.
    pub fn ra(&self) -> usize {
        self.names.len() - 1
    }
}

/// Where the fields of struct elf_prstatus and elf_prpsinfo stand (linux/elfcore.h; of a 32-bit process linux/elfcore-compat.h), in bytes.
pub struct Procfs {
    /// Length of elf_prstatus.
    pub status: usize,
    /// pr_sighold, one word.
    pub mask: usize,
    /// pr_pid, pr_ppid, pr_pgrp, pr_sid: four bytes each.
    pub ids: usize,
    /// pr_reg.
    pub registers: usize,
    /// pr_fpvalid.
    pub fpvalid: usize,
    /// Length of elf_prpsinfo.
    pub info: usize,
    /// pr_uid, pr_gid.
    pub owners: usize,
    /// Bytes of each of these.
    pub owner: usize,
    /// The four ids again.
    pub info_ids: usize,
    /// pr_fname.
    pub name: usize,
    /// pr_psargs.
    pub arguments: usize,
}

/// One note of a core: who named it, its kind, its content.
pub type CoreNote = (&'static [u8], u32, Vec<u8>);

impl Arch {
    /// That of a process, by the registers of its threads: a family may have members of both. That of the image, where no registers are there.
    pub fn of_process(ice: &Ice, process: u64) -> Self {
        let threads = ice.all::<Thread>().filter(|(_, t)| t.process == process);
        threads.map(|(id, _)| id).find_map(|id| Self::of_thread(ice, id)).unwrap_or_else(|| Self::of_image(ice))
    }

    /// That of a thread, by its registers.
    pub fn of_thread(ice: &Ice, thread: u64) -> Option<Self> {
        match ice.get::<RegsI386>(thread) {
            Some(_) => Some(Self::I386),
            None => ice.get::<RegsX86_64>(thread).map(|_| Self::X86_64),
        }
    }

    /// The one that the header names.
    pub fn of_image(ice: &Ice) -> Self {
        ice.parts.first().map_or(Self::X86_64, |part| Self::of_elf(part.header.machine))
    }

    /// By ELF's number for it (`e_machine`); the format knows no third one.
    pub fn of_elf(machine: u16) -> Self {
        if machine == EM_386 { Self::I386 } else { Self::X86_64 }
    }

    /// ELF's number for it.
    pub fn elf(self) -> elf::Machine {
        match self {
            Self::X86_64 => elf::EM_X86_64,
            Self::I386 => elf::EM_386,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86-64",
            Self::I386 => "i386",
        }
    }

    /// Bytes of a word.
    pub fn word(self) -> usize {
        match self {
            Self::X86_64 => 8,
            Self::I386 => 4,
        }
    }

    /// A number as one of its words.
    pub fn word_of(self, value: u64) -> Vec<u8> {
        value.to_le_bytes()[..self.word()].to_vec()
    }

    /// An address as it has them: in a 32-bit process what is behind the last one is the first one again.
    pub fn address(self, value: u64) -> u64 {
        match self {
            Self::X86_64 => value,
            Self::I386 => value & 0xffff_ffff,
        }
    }

    /// Bytes below the stack pointer that belong to the function, too.
    pub fn red_zone(self) -> u64 {
        match self {
            Self::X86_64 => 128,
            Self::I386 => 0,
        }
    }

    /// DWARF's numbers of its registers.
    pub fn dwarf(self) -> &'static Dwarf {
        match self {
            Self::X86_64 => &x86_64::DWARF,
            Self::I386 => &i386::DWARF,
        }
    }

    /// No core has more bytes: offsets in it are words.
    pub fn largest_core(self) -> u64 {
        match self {
            Self::X86_64 => 1 << 62,
            Self::I386 => 1 << 32,
        }
    }

    /// The structures of its cores.
    pub fn procfs(self) -> &'static Procfs {
        match self {
            Self::X86_64 => &x86_64::PROCFS,
            Self::I386 => &i386::PROCFS,
        }
    }

    /// The name of a register, where people say `pc` or `sp`.
    pub fn register_name(self, name: &str) -> &str {
        match (self, name) {
            (Self::X86_64, "pc") => "rip",
            (Self::X86_64, "sp") => "rsp",
            (Self::I386, "pc") => "eip",
            (Self::I386, "sp") => "esp",
            _ => name,
        }
    }

    /// The names of its general registers.
    pub fn register_names(self) -> Vec<&'static str> {
        match self {
            Self::X86_64 => x86_64::registers(&mut RegsX86_64::default()).map(|(name, _)| name).to_vec(),
            Self::I386 => i386::registers(&mut RegsI386::default()).map(|(name, _)| name).to_vec(),
        }
    }

    /// The section of a thread's general registers, of which `value` gives one after another.
    pub fn registers(self, value: impl Fn(usize) -> Option<u64>) -> Option<AnySection> {
        match self {
            Self::X86_64 => {
                let mut r = RegsX86_64::default();
                for (i, (_, register)) in x86_64::registers(&mut r).into_iter().enumerate() {
                    *register = Addr(value(i)?);
                }
                Some(AnySection::RegsX86_64(r))
            }
            Self::I386 => {
                let mut r = RegsI386::default();
                for (i, (_, register)) in i386::registers(&mut r).into_iter().enumerate() {
                    *register = value(i)? as u32;
                }
                Some(AnySection::RegsI386(r))
            }
        }
    }

    /// Is that the note in a core that has what FXSAVE has written?
    pub fn is_fxsave(self, name: &[u8], kind: u32) -> bool {
        let (by, of) = match self {
            Self::X86_64 => (&b"CORE"[..], elf::NT_PRFPREG),
            Self::I386 => (&b"LINUX"[..], elf::NT_PRXFPREG),
        };
        name == by && kind == of.0
    }

    /// The notes in a core about x87 and SSE of a thread, of what FXSAVE has written.
    pub fn float_notes(self, fxsave: &[u8; 512], registers: &Registers) -> Vec<CoreNote> {
        match self {
            Self::X86_64 => vec![(b"CORE", elf::NT_PRFPREG.0, fxsave.to_vec())],
            Self::I386 => i386::float_notes(fxsave, registers),
        }
    }

    /// The notes in a core about the segments of a thread.
    pub fn segment_notes(self, tls: &Tls) -> Vec<CoreNote> {
        match self {
            Self::X86_64 => Vec::new(),
            Self::I386 => i386::segment_notes(tls),
        }
    }

    /// A siginfo_t as a core has it: as the process sees it. In the image it is the kernel's own, which is that of x86-64.
    pub fn siginfo(self, kernels: &[u8; 128]) -> [u8; 128] {
        match self {
            Self::X86_64 => *kernels,
            Self::I386 => i386::siginfo(kernels),
        }
    }
}

/// The general registers of a thread by name, in the order of struct user_regs_struct (sys/user.h), which is also that of an ELF core.
pub struct Registers {
    /// Its machine.
    pub arch: Arch,
    /// Each with its name.
    pub values: Vec<(&'static str, u64)>,
}

impl Registers {
    /// Those of a thread; none if they are not in the image.
    pub fn of(ice: &Ice, thread: u64) -> Option<Self> {
        if let Some(r) = ice.get::<RegsX86_64>(thread) {
            let values = x86_64::registers(&mut r.clone()).map(|(name, value)| (name, value.0)).to_vec();
            return Some(Self { arch: Arch::X86_64, values });
        }
        let r = ice.get::<RegsI386>(thread)?;
        let values = i386::registers(&mut r.clone()).map(|(name, value)| (name, u64::from(*value))).to_vec();
        Some(Self { arch: Arch::I386, values })
    }

    /// One of them; also `pc` and `sp`.
    pub fn get(&self, name: &str) -> Option<u64> {
        let name = self.arch.register_name(name);
        self.values.iter().find(|(n, _)| *n == name).map(|(_, value)| *value)
    }

    /// Where the thread is.
    pub fn pc(&self) -> u64 {
        self.get("pc").unwrap_or_default()
    }

    /// Its stack pointer.
    pub fn sp(&self) -> u64 {
        self.get("sp").unwrap_or_default()
    }
}

/// Gives a register another value; no if the section has none of that name, or the value does not fit.
pub fn set(section: &mut AnySection, name: &str, value: u64) -> bool {
    fn named<'a, T>(all: impl IntoIterator<Item = (&'static str, &'a mut T)>, name: &str) -> Option<&'a mut T> {
        all.into_iter().find(|(n, _)| *n == name).map(|(_, register)| register)
    }
    match section {
        AnySection::RegsX86_64(r) => named(x86_64::registers(r), Arch::X86_64.register_name(name))
            .map(|register| *register = Addr(value))
            .is_some(),
        AnySection::RegsI386(r) => {
            let register = named(i386::registers(r), Arch::I386.register_name(name));
            register.zip(u32::try_from(value).ok()).map(|(register, value)| *register = value).is_some()
        }
        _ => false,
    }
}
