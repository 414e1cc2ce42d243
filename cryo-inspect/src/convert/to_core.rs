//! An ELF core, as the kernel writes one (core(5), elf(5)): notes for every thread, and a segment for every range of memory that is at hand. Of a 32-bit
//! process it is one of 32 bits.

mod notes;

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};

use anyhow::ensure;
use cryo_format::section::vmas::{Backing, Vma};
use object::elf;
use object::write::elf::{FileHeader, ProgramHeader, Writer};

use crate::arch::{Arch, Registers};
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
    ensure!(!threads.is_empty(), "there is no thread in these files: a core needs the .freeze and the .frost");
    let arch = Arch::of_process(cx.ice, cx.owner);
    let mut space = Space::of(cx.ice, cx.owner)?;
    let parts = parts(cx, threads, extent, &space);
    ensure!(parts.len() < MOST, "{} ranges of memory are more than a core can list", parts.len());
    let notes = notes::notes(cx, arch, threads, &space)?;
    let mut head = Vec::new();
    let mut writer = Writer::new(object::Endianness::Little, arch == Arch::X86_64, &mut head);
    writer.reserve_file_header();
    writer.reserve_program_headers(parts.len() as u32 + 1);
    let notes_at = writer.reserved_len();
    writer.write_file_header(&FileHeader {
        os_abi: elf::ELFOSABI_NONE,
        abi_version: 0,
        e_type: elf::ET_CORE,
        e_machine: arch.elf(),
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
            let most = arch.largest_core();
            ensure!(
                offset.checked_add(len).is_some_and(|end| end < most),
                "the core would be larger than an ELF file of {} can be: --type heap, mini and triage make smaller ones",
                arch.name()
            );
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
        .filter_map(|id| Registers::of(cx.ice, *id))
        .filter_map(|r| {
            // With the red zone below the stack pointer.
            let low = r.sp().saturating_sub(r.arch.red_zone()) & !0xfff;
            let end = space.vma(r.sp())?.end.0;
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

/// What the loader writes: data of files, and what stands beside them; not the heap, and no stacks of threads. And the vDSO: it is in no file, and every system
/// call of a 32-bit program is made in it.
fn small(v: &Vma) -> bool {
    v.backing == Backing::SPECIAL
        || (v.prot & 2 != 0 || v.backing == Backing::PRIVATE_FILE)
            && v.end.0 - v.start.0 <= SMALL
            && v.prot & 4 == 0
            && *v.name != b"[heap]"
}
