//! The structures in the notes of a core (sys/procfs.h; `Procfs` says where their fields are). None is read behind its end.

use cryo_format::prim::Addr;
use cryo_format::section::AnySection;
use cryo_format::section::process::Process;
use cryo_format::section::thread::Thread;

use crate::arch::Arch;

/// Four bytes.
pub fn half(data: &[u8], at: usize) -> Option<u32> {
    data.get(at..)?.first_chunk().map(|b| u32::from_le_bytes(*b))
}

/// Eight bytes.
pub fn double(data: &[u8], at: usize) -> Option<u64> {
    data.get(at..)?.first_chunk().map(|b| u64::from_le_bytes(*b))
}

/// As many as the process has in a word.
pub fn word(arch: Arch, data: &[u8], at: usize) -> Option<u64> {
    match arch {
        Arch::X86_64 => double(data, at),
        Arch::I386 => half(data, at).map(u64::from),
    }
}

/// All words of it.
pub fn words(arch: Arch, data: &[u8]) -> Vec<u64> {
    (0..data.len() / arch.word()).filter_map(|i| word(arch, data, i * arch.word())).collect()
}

/// A value of the auxiliary vector (getauxval(3)).
pub fn auxiliary(auxv: &[u64], kind: u64) -> Option<u64> {
    auxv.as_chunks::<2>().0.iter().find(|[k, _]| *k == kind).map(|[_, value]| *value)
}

/// struct elf_prstatus: a thread and its registers. In one of 32 bits the mask has only the first 32 signals.
pub fn status(arch: Arch, data: &[u8]) -> Option<(Thread, AnySection)> {
    let at = arch.procfs();
    let registers = arch.registers(|i| word(arch, data, at.registers + arch.word() * i))?;
    let sigmask = Addr(word(arch, data, at.mask)?);
    Some((Thread { tid: half(data, at.ids)?.into(), sigmask, ..Thread::default() }, registers))
}

/// struct elf_prpsinfo: who the process is, and what it is called.
pub fn info(arch: Arch, data: &[u8], process: &mut Process) -> Vec<u8> {
    let at = arch.procfs();
    let id = |i: usize| half(data, at.info_ids + 4 * i).map(u64::from);
    if let (Some(pid), Some(ppid), Some(pgid), Some(sid)) = (id(0), id(1), id(2), id(3)) {
        (process.pid, process.ppid, process.pgid, process.sid) = (pid, ppid, pgid, sid);
    }
    let owner =
        |i: usize| half(data, at.owners + at.owner * i).map_or(0, |n| if at.owner == 2 { n & 0xffff } else { n });
    (process.uid, process.gid) = ([owner(0); 4], [owner(1); 4]);
    (process.exit_signal, process.oom_score_adj) = (17, Addr(1000));
    let text = |at: usize, len: usize| {
        let raw = data.get(at..at + len).unwrap_or_default();
        raw.split(|b| *b == 0).next().unwrap_or_default().to_vec()
    };
    // Arguments, with spaces between them, cut off after 79 bytes.
    let (name, arguments) = (text(at.name, 16), text(at.arguments, 80));
    let arguments = if arguments.is_empty() { name.clone() } else { arguments };
    process.cmdline =
        arguments.trim_ascii_end().iter().map(|b| if *b == b' ' { 0 } else { *b }).collect::<Vec<_>>().into();
    name
}

/// A range with a file mapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// First address.
    pub start: u64,
    /// First address behind it.
    pub end: u64,
    /// Offset in the file, in bytes.
    pub offset: u64,
    /// The file's path.
    pub path: Vec<u8>,
}

/// NT_FILE: which files are mapped where.
pub fn files(arch: Arch, data: &[u8]) -> Option<Vec<Mapped>> {
    let size = arch.word();
    let number = |i: usize| word(arch, data, size * i);
    let (count, page) = (number(0)?, number(1)?);
    // Each takes three words, and at least an empty name.
    let fits = |n: &usize| n.checked_mul(3 * size + 1).is_some_and(|len| len <= data.len());
    let count = usize::try_from(count).ok().filter(fits)?;
    let mut names = data.get(size * (2 + 3 * count)..)?.split(|b| *b == 0);
    let one = |i: usize| {
        let (start, end, offset) = (number(2 + 3 * i)?, number(3 + 3 * i)?, number(4 + 3 * i)?);
        Some(Mapped { start, end, offset: offset.wrapping_mul(page), path: names.next()?.to_vec() })
    };
    (0..count).map(one).collect()
}
