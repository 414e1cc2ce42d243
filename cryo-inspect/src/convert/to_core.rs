//! An ELF core, as the kernel writes one (core(5), elf(5)): notes for every thread, and a segment for every range of memory that is at hand.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};

use anyhow::{bail, ensure};
use cryo_format::header::EM_386;
use cryo_format::section::credentials::Credentials;
use cryo_format::section::mm::Mm;
use cryo_format::section::pending::Pending;
use cryo_format::section::process::Process;
use cryo_format::section::regs::RegsX86_64;
use cryo_format::section::thread::Thread;
use cryo_format::section::vmas::{Backing, Vma};
use cryo_format::section::xstate::Xstate;
use object::elf;
use object::write::elf::{FileHeader, ProgramHeader, Writer};

use crate::print::Cx;
use crate::space::{Place, Run, Space};

/// How much of memory is in a core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Extent {
    /// All that is at hand
    Full,
    /// What the program can write
    Heap,
    /// The stacks, and pages with the heads of files
    Mini,
    /// The top of each stack
    Triage,
}

/// Bytes of a stack in the smallest core.
const TOP: u64 = 64 << 10;
/// Segments of data that are larger are not what debuggers need to find the libraries.
const SMALL: u64 = 256 << 10;
/// Program headers that can be counted in the file header.
const MOST: usize = 0xfffe;

/// A range of memory, and whether its bytes are in the core.
struct Part {
    start: u64,
    end: u64,
    prot: u32,
    held: bool,
}

/// Writes a core of a process into a file; zeros are left as holes. Gives its length.
pub fn write(cx: &Cx<'_>, threads: &[u64], extent: Extent, file: &mut File) -> anyhow::Result<u64> {
    if cx.machine() == EM_386 {
        bail!("cores of 32-bit programs are not written: convert a 64-bit one");
    }
    ensure!(!threads.is_empty(), "there is no thread in these files: a core needs the .freeze and the .frost");
    let mut space = Space::of(cx.ice, cx.owner)?;
    let parts = parts(cx, threads, extent, &space);
    ensure!(parts.len() < MOST, "{} ranges of memory are more than a core can list", parts.len());
    let notes = notes(cx, threads, &space)?;
    let mut head = Vec::new();
    let mut writer = Writer::new(object::Endianness::Little, true, &mut head);
    writer.reserve_file_header();
    writer.reserve_program_headers(parts.len() as u32 + 1);
    let notes_at = writer.reserved_len();
    writer.write_file_header(&FileHeader {
        os_abi: elf::ELFOSABI_NONE,
        abi_version: 0,
        e_type: elf::ET_CORE,
        e_machine: elf::EM_X86_64,
        e_entry: 0,
        e_flags: elf::FileFlags::default(),
    })?;
    writer.write_align_program_headers();
    let note = ProgramHeader {
        p_type: elf::PT_NOTE,
        p_flags: elf::ProgramFlags::default(),
        p_offset: notes_at,
        p_vaddr: 0,
        p_paddr: 0,
        p_filesz: notes.len() as u64,
        p_memsz: 0,
        p_align: 4,
    };
    writer.write_program_header(&note);
    let mut offset = (notes_at + notes.len() as u64).next_multiple_of(4096);
    let mut places = Vec::new();
    for part in &parts {
        let len = part.end - part.start;
        let flags = (part.prot & 1) << 2 | part.prot & 2 | (part.prot & 4) >> 2;
        writer.write_program_header(&ProgramHeader {
            p_type: elf::PT_LOAD,
            p_flags: elf::ProgramFlags(flags),
            p_offset: offset,
            p_vaddr: part.start,
            p_paddr: 0,
            p_filesz: if part.held { len } else { 0 },
            p_memsz: len,
            p_align: 4096,
        });
        places.push(offset);
        if part.held {
            ensure!(offset.checked_add(len).is_some_and(|end| end < 1 << 62), "the core would be larger than any file");
            offset += len;
        }
    }
    file.write_all(&head)?;
    file.write_all(&notes)?;
    let mut piece = vec![0; 1 << 20];
    for (part, place) in parts.iter().zip(places).filter(|(p, _)| p.held) {
        let runs: Vec<Run> = space.within(part.start, part.end).filter(|r| r.place != Place::Zero).collect();
        for run in runs {
            let (mut here, end) = (run.start, run.end);
            while here < end {
                let n = (end - here).min(piece.len() as u64) as usize;
                let got = space.read(here, &mut piece[..n])?;
                file.seek(SeekFrom::Start(place + (here - part.start)))?;
                file.write_all(&piece[..got])?;
                // What a mapped file does not reach to stays a hole.
                here += n as u64;
            }
        }
    }
    file.set_len(offset)?;
    Ok(offset)
}

/// The ranges, cut where something begins that is not at hand, or not wanted.
fn parts(cx: &Cx<'_>, threads: &[u64], extent: Extent, space: &Space<'_>) -> Vec<Part> {
    let mut stacks: Vec<(u64, u64)> = threads
        .iter()
        .filter_map(|id| cx.ice.get::<RegsX86_64>(*id))
        .filter_map(|r| {
            // With the red zone below the stack pointer.
            let low = r.rsp.0.saturating_sub(128) & !0xfff;
            let end = space.vma(r.rsp.0)?.end.0;
            Some((low, if extent == Extent::Triage { end.min(low.saturating_add(TOP)) } else { end }))
        })
        .collect();
    stacks.sort_unstable();
    let mut parts: Vec<Part> = Vec::new();
    for v in space.vmas {
        for run in space.within(v.start.0, v.end.0) {
            let there = !matches!(run.place, Place::Absent) && v.prot & 7 != 0;
            let mut cut = |start: u64, end: u64, held: bool| {
                if start >= end {
                    return;
                }
                match parts.last_mut() {
                    Some(last)
                        if last.end == start && last.held == held && last.prot == v.prot && start > v.start.0 =>
                    {
                        last.end = end;
                    }
                    _ => parts.push(Part { start, end, prot: v.prot, held }),
                }
            };
            let head =
                (v.offset == 0 && v.object != 0 && extent != Extent::Triage).then_some((v.start.0, v.start.0 + 4096));
            let whole = match extent {
                Extent::Full => there,
                // Debuggers find the libraries by what the loader has written, also where that is read-only since.
                Extent::Heap => there && (v.prot & 2 != 0 || run.place == Place::Stored),
                Extent::Mini => there && run.place != Place::Zero && small(v),
                Extent::Triage => false,
            };
            if whole || !there {
                cut(run.start, run.end, whole);
                continue;
            }
            let mut here = run.start;
            // The head of a file is before all that is in it.
            for (lo, hi) in head.into_iter().chain(stacks.iter().copied()) {
                let (lo, hi) = (lo.max(here), hi.min(run.end));
                if lo < hi {
                    cut(here, lo, false);
                    cut(lo, hi, true);
                    here = hi;
                }
            }
            cut(here, run.end, false);
        }
    }
    parts
}

/// What the loader writes: data of files, and what stands beside them; not the heap, and no stacks of threads.
fn small(v: &Vma) -> bool {
    (v.prot & 2 != 0 || v.backing == Backing::PRIVATE_FILE)
        && v.end.0 - v.start.0 <= SMALL
        && v.prot & 4 == 0
        && *v.name != b"[heap]"
}

/// All notes, in the kernel's order.
fn notes(cx: &Cx<'_>, threads: &[u64], space: &Space<'_>) -> anyhow::Result<Vec<u8>> {
    let mut out = Vec::new();
    for (i, id) in threads.iter().enumerate() {
        let Some(regs) = cx.ice.get::<RegsX86_64>(*id) else { continue };
        note(&mut out, b"CORE", elf::NT_PRSTATUS.0, &prstatus(cx, *id, regs))?;
        if i == 0 {
            note(&mut out, b"CORE", elf::NT_PRPSINFO.0, &prpsinfo(cx))?;
            let signal = cx.ice.get::<Pending>(*id).and_then(|p| p.signals.first()).filter(|s| s.len() == 128);
            note(&mut out, b"CORE", elf::NT_SIGINFO.0, signal.map_or(&[0; 128][..], |s| s))?;
            if let Some(mm) = cx.ice.get::<Mm>(cx.owner) {
                let auxv: Vec<u8> = mm.auxv.iter().flat_map(|word| word.0.to_le_bytes()).collect();
                note(&mut out, b"CORE", elf::NT_AUXV.0, &auxv)?;
            }
            note(&mut out, b"CORE", elf::NT_FILE.0, &files(cx, space))?;
        }
        if let Some(x) = cx.ice.get::<Xstate>(*id) {
            if let Some(legacy) = x.area.get(..512) {
                note(&mut out, b"CORE", elf::NT_PRFPREG.0, legacy)?;
            }
            if let Some(area) = xsave(x) {
                note(&mut out, b"LINUX", elf::NT_X86_XSTATE.0, &area)?;
            }
        }
    }
    ensure!(!out.is_empty(), "there are no registers in these files: they are in the .freeze");
    Ok(out)
}

/// Components and where Intel's processors have them: debuggers know this layout, and not all know another's.
const COMPONENTS: [(u32, usize, usize); 7] =
    [(2, 576, 256), (3, 960, 64), (4, 1024, 64), (5, 1088, 64), (6, 1152, 512), (7, 1664, 1024), (9, 2688, 8)];

/// The XSAVE area in that layout; none if there is no more than what FXSAVE has.
fn xsave(x: &Xstate) -> Option<Vec<u8>> {
    let header = x.area.get(512..576)?;
    let known = COMPONENTS.iter().filter(|(n, ..)| x.xcr0.0 >> n & 1 != 0);
    let (mut mask, mut len) = (3u64, 576);
    for (n, at, size) in known.clone() {
        mask |= 1 << n;
        len = at + size;
    }
    let mut area = vec![0; len];
    area[..512].copy_from_slice(x.area.get(..512)?);
    // Debuggers read here which components the area has, as the kernel writes it.
    area[464..472].copy_from_slice(&(x.xcr0.0 & mask).to_le_bytes());
    let used = header.first_chunk().map_or(0, |b| u64::from_le_bytes(*b)) & mask;
    area[512..520].copy_from_slice(&used.to_le_bytes());
    for (n, at, size) in known {
        let component = x.layout.iter().find(|c| c.number == *n)?;
        let from = component.offset as usize;
        let size = (*size).min(component.size as usize);
        area[*at..at + size].copy_from_slice(x.area.get(from..from.checked_add(size)?)?);
    }
    Some(area)
}

fn note(out: &mut Vec<u8>, name: &[u8], kind: u32, data: &[u8]) -> anyhow::Result<()> {
    for word in [name.len() as u32 + 1, u32::try_from(data.len())?, kind] {
        out.extend(word.to_le_bytes());
    }
    out.extend(name);
    out.push(0);
    out.resize(out.len().next_multiple_of(4), 0);
    out.extend(data);
    out.resize(out.len().next_multiple_of(4), 0);
    Ok(())
}

/// struct elf_prstatus.
fn prstatus(cx: &Cx<'_>, id: u64, r: &RegsX86_64) -> Vec<u8> {
    let mut out = vec![0; 336];
    let process = cx.process.and_then(|p| cx.ice.get::<Process>(p));
    let thread = cx.ice.get::<Thread>(id);
    put(&mut out, 24, &thread.map_or(0, |t| t.sigmask.0).to_le_bytes());
    let ids = [thread.map(|t| t.tid), process.map(|p| p.ppid), process.map(|p| p.pgid), process.map(|p| p.sid)];
    for (i, n) in ids.iter().enumerate() {
        put(&mut out, 32 + 4 * i, &(n.unwrap_or(0) as u32).to_le_bytes());
    }
    for (i, (_, value)) in crate::names::register::x86_64(&mut r.clone()).into_iter().enumerate() {
        put(&mut out, 112 + 8 * i, &value.0.to_le_bytes());
    }
    put(&mut out, 328, &1u32.to_le_bytes());
    out
}

/// struct elf_prpsinfo.
fn prpsinfo(cx: &Cx<'_>) -> Vec<u8> {
    let mut out = vec![0; 136];
    let Some(p) = cx.process.and_then(|p| cx.ice.get::<Process>(p)) else { return out };
    let credentials = cx.process.and_then(|p| cx.ice.get::<Credentials>(p));
    put(&mut out, 1, b"S");
    let uid = credentials.map_or(p.uid[0], |c| c.uid[0]);
    let gid = credentials.map_or(p.gid[0], |c| c.gid[0]);
    for (i, n) in [uid, gid, p.pid as u32, p.ppid as u32, p.pgid as u32, p.sid as u32].iter().enumerate() {
        put(&mut out, 16 + 4 * i, &n.to_le_bytes());
    }
    let name = p.exe.rsplit(|b| *b == b'/').next().unwrap_or_default();
    put(&mut out, 40, &name[..name.len().min(15)]);
    let arguments: Vec<u8> = p.cmdline.iter().take(79).map(|b| if *b == 0 { b' ' } else { *b }).collect();
    put(&mut out, 56, &arguments);
    out
}

fn put(out: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(part) = out.get_mut(at..at + bytes.len()) {
        part.copy_from_slice(bytes);
    }
}

/// Which files are mapped where.
fn files(cx: &Cx<'_>, space: &Space<'_>) -> Vec<u8> {
    let mapped: Vec<_> = space
        .vmas
        .iter()
        .filter_map(|v| Some((v, cx.object(v.object).filter(|o| o.path.first() == Some(&b'/'))?)))
        .collect();
    let mut out = Vec::new();
    for word in [mapped.len() as u64, 4096] {
        out.extend(word.to_le_bytes());
    }
    for (v, _) in &mapped {
        for word in [v.start.0, v.end.0, v.offset / 4096] {
            out.extend(word.to_le_bytes());
        }
    }
    for (_, o) in &mapped {
        out.extend(o.path.iter().copied().filter(|b| *b != 0));
        out.push(0);
    }
    out
}
