//! The structures in the notes of a core (sys/procfs.h), as x86-64 has them. None is read behind its end.

use cryo_format::prim::Addr;
use cryo_format::section::process::Process;
use cryo_format::section::regs::RegsX86_64;
use cryo_format::section::thread::Thread;

/// Four bytes.
pub fn half(data: &[u8], at: usize) -> Option<u32> {
    data.get(at..)?.first_chunk().map(|b| u32::from_le_bytes(*b))
}

/// Eight bytes.
pub fn word(data: &[u8], at: usize) -> Option<u64> {
    data.get(at..)?.first_chunk().map(|b| u64::from_le_bytes(*b))
}

/// A value of the auxiliary vector (getauxval(3)).
pub fn auxiliary(auxv: &[u64], kind: u64) -> Option<u64> {
    auxv.as_chunks::<2>().0.iter().find(|[k, _]| *k == kind).map(|[_, value]| *value)
}

/// struct elf_prstatus: a thread and its registers.
pub fn status(data: &[u8]) -> Option<(Thread, RegsX86_64)> {
    let mut registers = RegsX86_64::default();
    for (i, (_, register)) in crate::arch::x86_64::registers(&mut registers).into_iter().enumerate() {
        *register = Addr(word(data, 112 + 8 * i)?);
    }
    let thread = Thread { tid: half(data, 32)?.into(), sigmask: Addr(word(data, 24)?), ..Thread::default() };
    Some((thread, registers))
}

/// struct elf_prpsinfo: who the process is, and what it is called.
pub fn info(data: &[u8], process: &mut Process) -> Vec<u8> {
    let id = |at: usize| half(data, at).map(u64::from);
    if let (Some(pid), Some(ppid), Some(pgid), Some(sid)) = (id(24), id(28), id(32), id(36)) {
        (process.pid, process.ppid, process.pgid, process.sid) = (pid, ppid, pgid, sid);
    }
    process.uid = [half(data, 16).unwrap_or(0); 4];
    process.gid = [half(data, 20).unwrap_or(0); 4];
    (process.exit_signal, process.oom_score_adj) = (17, Addr(1000));
    let text = |at: usize, len: usize| {
        let raw = data.get(at..at + len).unwrap_or_default();
        raw.split(|b| *b == 0).next().unwrap_or_default().to_vec()
    };
    // Arguments, with spaces between them, cut off after 79 bytes.
    let arguments = text(56, 80);
    let arguments = if arguments.is_empty() { text(40, 16) } else { arguments };
    process.cmdline =
        arguments.trim_ascii_end().iter().map(|b| if *b == b' ' { 0 } else { *b }).collect::<Vec<_>>().into();
    text(40, 16)
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
pub fn files(data: &[u8]) -> Option<Vec<Mapped>> {
    let (count, page) = (word(data, 0)?, word(data, 8)?);
    // Each takes three words, and at least an empty name.
    let count = usize::try_from(count).ok().filter(|n| n.checked_mul(25).is_some_and(|len| len <= data.len()))?;
    let mut names = data.get(16 + 24 * count..)?.split(|b| *b == 0);
    let one = |i: usize| {
        let at = 16 + 24 * i;
        let (start, end, offset) = (word(data, at)?, word(data, at + 8)?, word(data, at + 16)?);
        Some(Mapped { start, end, offset: offset.wrapping_mul(page), path: names.next()?.to_vec() })
    };
    (0..count).map(one).collect()
}
