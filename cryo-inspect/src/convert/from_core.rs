//! A set made of an ELF core (core(5), elf(5)): what a core has of a process, so that it can be looked at with the same commands. It has no descriptors,
//! handlers and credentials: that the set is of a core is said in its notes, and thawers refuse it.

mod memory;

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use anyhow::{Context, bail, ensure};
use cryo_format::prim::{Addr, Raw};
use cryo_format::section::AnySection;
use cryo_format::section::extents::{Content, Extent};
use cryo_format::section::mm::Mm;
use cryo_format::section::notes::{FROM_CORE, Note, Notes};
use cryo_format::section::objects::{Object, Objects};
use cryo_format::section::origin::Origin;
use cryo_format::section::process::Process;
use cryo_format::section::thread::Thread;
use cryo_format::section::tls::Tls;
use cryo_format::section::vmas::Vmas;
use cryo_format::section::xstate::{Component, Xstate};
use cryo_format::write::Writer;
use cryo_format::{Header, Profile, digest};
use object::read::elf::{FileHeader, ProgramHeader as _};
use object::{Endianness, ReadCache, ReadRef, elf};

use super::words::{self, Mapped, auxiliary};
use crate::arch::{Arch, i386};
use crate::rewrite::{files, random};

const PAGE: u64 = 4096;
/// Where user addresses end, with five levels of page tables.
const USER: u64 = 1 << 56;
/// Bytes of pages that are written at once.
const BATCH: u64 = 1 << 20;
/// The process's local id; those of its threads follow.
const PROCESS: u64 = 1;
/// The heads of a file, in which its build-id stands, are looked for in so many of its first bytes.
const HEADS: u64 = 64 << 10;

/// A segment of a core: a range of memory, and where its bytes are.
struct Segment {
    start: u64,
    end: u64,
    prot: u32,
    /// Offset in the core.
    offset: u64,
    /// Bytes of it that are in the core.
    held: u64,
}

/// What a core has of a thread.
struct Held {
    thread: Thread,
    registers: AnySection,
    xstate: Option<Xstate>,
    tls: Option<Tls>,
}

struct Found {
    arch: Arch,
    threads: Vec<Held>,
    process: Process,
    /// What the main thread is called.
    name: Vec<u8>,
    auxv: Vec<u64>,
    mapped: Vec<Mapped>,
    /// What ended it: 0 for nothing.
    signal: u32,
    notes: Vec<Note>,
}

/// Makes the set NAME of a core.
pub fn write(core: &Path, name: &Path) -> anyhow::Result<()> {
    let named = || core.display().to_string();
    let file = File::open(core).with_context(named)?;
    let about = file.metadata().with_context(named)?;
    ensure!(about.is_file(), "{}: not a regular file: a core is read at random", named());
    let (mut found, segments) = read(&file).with_context(named)?;
    ensure!(!found.threads.is_empty(), "{}: it has no registers of any thread (NT_PRSTATUS)", named());
    // The main thread first, as everywhere. What others are called a core does not say.
    let pid = found.process.pid;
    let name_of = found.name.clone();
    let main = found.threads.iter_mut().map(|held| &mut held.thread).filter(|thread| thread.tid == pid);
    main.for_each(|thread| thread.comm = name_of.clone().into());
    found.threads.sort_by_key(|held| held.thread.tid != pid);
    let (vmas, objects) = memory::memory(&file, &segments, &mut found)?;
    let mm = landmarks(&file, &segments, &mut found, &objects)?;
    let what = format!("{}, a core{}", cryo_format::text::message(&named()), ended(found.signal));
    found.notes.push(Note { object: FROM_CORE.into(), text: what.as_str().into() });
    let origin = Origin {
        time_sec: about.mtime(),
        tool: format!("cryo-inspect {} convert --from core", env!("CARGO_PKG_VERSION")).into(),
        ..Origin::default()
    };
    let ids = [random()?, random()?];
    let header = |profile| {
        let id = if profile == Profile::Frore { ids[0] } else { ids[1] };
        Ok(Header::new(profile, found.arch.elf().0, 12, id))
    };
    files(name, header, |profile, writer, link| {
        match profile {
            Profile::Frore => {
                writer.section(0, &Objects { objects: objects.clone().into() })?;
                writer.section(PROCESS, &mm)?;
                writer.section(PROCESS, &Vmas { vmas: vmas.clone().into() })?;
            }
            Profile::Frost => {
                writer.section(PROCESS, &found.process)?;
                for (i, held) in found.threads.iter().enumerate() {
                    writer.section(thread_id(i), &held.thread)?;
                }
                writer.section(0, &Notes { notes: std::mem::take(&mut found.notes).into() })?;
                writer.section(0, &origin)?;
            }
            Profile::Freeze => {
                writer.section(0, link)?;
                for (i, held) in found.threads.iter().enumerate() {
                    writer.any(thread_id(i), &held.registers)?;
                    if let Some(tls) = &held.tls {
                        writer.section(thread_id(i), tls)?;
                    }
                    if let Some(xstate) = &held.xstate {
                        writer.section(thread_id(i), xstate)?;
                    }
                }
                for segment in &segments {
                    pages(&file, segment, writer)?;
                }
            }
        }
        Ok(())
    })
}

fn thread_id(i: usize) -> u64 {
    PROCESS + 1 + i as u64
}

fn ended(signal: u32) -> String {
    if signal == 0 { String::new() } else { format!(", which signal {signal} has ended") }
}

/// The notes, and the segments in ascending order.
fn read(file: &File) -> anyhow::Result<(Found, Vec<Segment>)> {
    let cache = ReadCache::new(file);
    if let Ok(header) = elf::FileHeader64::parse(&cache) {
        return read_class(header, Arch::X86_64, file, &cache);
    }
    let header = elf::FileHeader32::parse(&cache).map_err(|_| anyhow::anyhow!("it is no ELF file"))?;
    read_class(header, Arch::I386, file, &cache)
}

/// The same of a core of one class, which is that of one machine.
fn read_class<'d, H>(
    header: &H,
    arch: Arch,
    file: &File,
    data: impl ReadRef<'d>,
) -> anyhow::Result<(Found, Vec<Segment>)>
where
    H: FileHeader<Endian = Endianness>,
{
    let endian = header.endian()?;
    ensure!(header.e_type(endian) == elf::ET_CORE, "it is an ELF file, and no core");
    ensure!(header.e_machine(endian) == arch.elf(), "it is a core of another machine than x86-64 and i386");
    let size = file.metadata()?.len();
    let mut found = Found::new(arch);
    let mut segments: Vec<Segment> = Vec::new();
    let mut cut = false;
    for p in header.program_headers(endian, data)? {
        if p.p_type(endian) == elf::PT_LOAD {
            let (start, len): (u64, u64) = (p.p_vaddr(endian).into(), p.p_memsz(endian).into());
            // Above all that a program can map stands the kernel's own page of old, [vsyscall].
            let Some(end) = start.checked_add(len).filter(|end| *end <= USER) else { continue };
            let (offset, held): (u64, u64) = (p.p_offset(endian).into(), p.p_filesz(endian).into());
            let held = held.min(len);
            let there = size.saturating_sub(offset).min(held);
            cut |= there < held;
            let prot = memory::prot(p.p_flags(endian).0);
            ensure!(start % PAGE == 0, "a segment begins at {start:#x}, inside a page");
            if len > 0 {
                segments.push(Segment { start, end: end.next_multiple_of(PAGE), prot, offset, held: there });
            }
        }
        let Some(mut notes) = p.notes(endian, data)? else { continue };
        while let Some(note) = notes.next()? {
            found.note(note.name(), note.n_type(endian).0, note.desc())?;
        }
    }
    segments.sort_by_key(|s| s.start);
    if let Some([a, b]) = segments.array_windows().find(|[a, b]| b.start < a.end) {
        bail!("segments overlap: one ends at {:#x}, the next begins at {:#x}", a.end, b.start);
    }
    if cut {
        let text = "it was cut off: memory that it should have is missing";
        found.notes.push(Note { object: "the core".into(), text: text.into() });
    }
    // What saves it as FSAVE does, without NT_PRXFPREG, has neither the SSE registers nor a layout of ours.
    let bare = found.threads.iter().filter(|held| held.xstate.is_none()).count();
    if bare > 0 {
        let text = format!(
            "of {bare} of its {} threads it has no x87 and vector registers as FXSAVE or XSAVE write them: they are missing",
            found.threads.len()
        );
        found.notes.push(Note { object: "the core".into(), text: text.as_str().into() });
    }
    Ok((found, segments))
}

impl Found {
    fn new(arch: Arch) -> Self {
        Self {
            arch,
            threads: Vec::new(),
            process: Process::default(),
            name: Vec::new(),
            auxv: Vec::new(),
            mapped: Vec::new(),
            signal: 0,
            notes: Vec::new(),
        }
    }

    /// Takes in one note. What is not known here says nothing that the set could keep.
    fn note(&mut self, name: &[u8], kind: u32, data: &[u8]) -> anyhow::Result<()> {
        let arch = self.arch;
        let last = self.threads.last_mut();
        match (name, kind) {
            (b"CORE", k) if k == elf::NT_PRSTATUS.0 => {
                let (thread, registers) = words::status(arch, data).context("a note NT_PRSTATUS that is too short")?;
                if self.threads.is_empty() {
                    self.signal = u32::from(data[12]);
                    let id = |i: usize| u64::from(words::half(data, arch.procfs().ids + 4 * i).unwrap_or(0));
                    // NT_PRPSINFO says it better, where there is one.
                    (self.process.pid, self.process.ppid) = (id(0), id(1));
                    (self.process.pgid, self.process.sid) = (id(2), id(3));
                }
                let thread = Thread { process: PROCESS, altstack_flags: 2, ..thread };
                self.threads.push(Held { thread, registers, xstate: None, tls: None });
            }
            (b"CORE", k) if k == elf::NT_PRPSINFO.0 => self.name = words::info(arch, data, &mut self.process),
            (b"CORE", k) if k == elf::NT_AUXV.0 => self.auxv = words::words(arch, data),
            (b"CORE", k) if k == elf::NT_FILE.0 => {
                let files = words::files(arch, data).context("a note NT_FILE that is not whole")?;
                self.mapped =
                    files.into_iter().filter(|m| m.start < m.end && m.start % PAGE == 0 && m.end % PAGE == 0).collect();
                self.mapped.sort_by_key(|m| m.start);
            }
            (b"LINUX", k) if k == elf::NT_X86_XSTATE.0 && data.len() >= 576 => {
                if let Some(held) = last {
                    held.xstate = Some(xstate(data));
                }
            }
            (b"LINUX", k) if k == elf::NT_386_TLS.0 && arch == Arch::I386 => {
                if let Some(held) = last {
                    held.tls = i386::segments(data);
                }
            }
            _ if arch.is_fxsave(name, kind) && data.len() == 512 => {
                if let Some(Held { xstate: state @ None, .. }) = last {
                    *state = Some(Xstate { xcr0: Addr(3), area: data.to_vec().into(), ..Xstate::default() });
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Where processors have their components: Intel's, AMD's with AVX-512, AMD's without. A core does not say which.
const LAYOUTS: [&[(u32, u32, u32)]; 3] = [
    &[(2, 576, 256), (5, 1088, 64), (6, 1152, 512), (7, 1664, 1024), (9, 2688, 8)],
    &[(2, 576, 256), (5, 832, 64), (6, 896, 512), (7, 1408, 1024), (9, 2432, 8)],
    &[(2, 576, 256), (9, 832, 8)],
];

/// The area, with the layout whose end is its own; else with Intel's, as far as that reaches.
fn xstate(area: &[u8]) -> Xstate {
    let xcr0 = words::double(area, 464).unwrap_or(3);
    let of = |layout: &'static [(u32, u32, u32)]| layout.iter().filter(move |c| xcr0 >> c.0 & 1 != 0);
    let ends = |layout: &&'static [(u32, u32, u32)]| of(layout).map(|c| c.1 + c.2).max();
    let fits = LAYOUTS.into_iter().find(|l| ends(l).is_some_and(|end| end as usize == area.len()));
    let layout: Vec<Component> = of(fits.unwrap_or(LAYOUTS[0]))
        .filter(|c| (c.1 + c.2) as usize <= area.len())
        .map(|(number, offset, size)| Component { number: *number, flags: 0, offset: *offset, size: *size })
        .collect();
    Xstate { xcr0: Addr(xcr0), layout: layout.into(), area: area.to_vec().into() }
}

/// The landmarks, as far as the core has them; and with them who the process is.
fn landmarks(file: &File, segments: &[Segment], found: &mut Found, objects: &[Object]) -> anyhow::Result<Mm> {
    let mut mm = Mm { auxv: found.auxv.iter().copied().map(Addr).collect::<Vec<_>>().into(), ..Mm::default() };
    if let Some(entry) = auxiliary(&found.auxv, 9)
        && let Some(m) = found.mapped.iter().find(|m| (m.start..m.end).contains(&entry))
    {
        found.process.exe = m.path.clone().into();
        mm.exe = objects.iter().find(|o| o.path.0 == m.path).map_or(0, |o| o.id);
        (mm.start_code, mm.end_code) = (Addr(m.start), Addr(m.end));
    }
    // The kernel puts the auxiliary vector behind the pointers to arguments and environment, and the name of the executable behind the strings.
    let Some(name) = auxiliary(&found.auxv, 31) else { return Ok(mm) };
    let Some(s) = segments.iter().find(|s| (s.start..s.end).contains(&name)) else { return Ok(mm) };
    let len = s.held.min(1 << 20);
    let start = s.start + s.held - len;
    let stack = words::words(found.arch, &bytes(file, segments, start, len)?);
    let vector = found.auxv.len().min(16);
    let Some(at) = stack.windows(vector.max(1)).rposition(|w| vector > 0 && w == &found.auxv[..vector]) else {
        return Ok(mm);
    };
    // Backwards: a zero, the environment, a zero, the arguments, their number.
    let list = |end: usize| stack[..end].iter().rposition(|w| *w == 0).map_or(0, |zero| zero + 1);
    let environment = list(at.saturating_sub(1));
    let end = environment.saturating_sub(1);
    let arguments = (0..end).rev().find(|i| stack[*i] == (end - i - 1) as u64).map_or(end, |i| i + 1);
    let first = |from: usize, to: usize| stack.get(from).filter(|_| from < to).copied();
    mm.start_stack = Addr(start + (arguments.saturating_sub(1) * found.arch.word()) as u64);
    mm.env_start = Addr(first(environment, at.saturating_sub(1)).unwrap_or(name));
    mm.env_end = Addr(name);
    mm.arg_start = Addr(first(arguments, end).unwrap_or(mm.env_start.0));
    mm.arg_end = mm.env_start;
    let long = mm.arg_end.0.saturating_sub(mm.arg_start.0).min(1 << 17);
    let arguments = bytes(file, segments, mm.arg_start.0, long)?;
    if !arguments.is_empty() {
        found.process.cmdline = arguments.into();
    }
    Ok(mm)
}

/// Up to `most` bytes of memory, as many as the core has.
fn bytes(file: &File, segments: &[Segment], addr: u64, most: u64) -> anyhow::Result<Vec<u8>> {
    let i = segments.partition_point(|s| s.end <= addr);
    let Some(s) = segments.get(i).filter(|s| s.start <= addr) else { return Ok(Vec::new()) };
    let into = addr - s.start;
    let mut out = vec![0; s.held.saturating_sub(into).min(most) as usize];
    file.read_exact_at(&mut out, s.offset.saturating_add(into)).context("reading the core")?;
    Ok(out)
}

/// The pages of a segment that are in the core.
fn pages<W: std::io::Write>(file: &File, s: &Segment, writer: &mut Writer<W>) -> anyhow::Result<()> {
    let mut here = 0;
    while here < s.held {
        let len = (s.held - here).min(BATCH);
        let mut raw = vec![0; len.next_multiple_of(PAGE) as usize];
        file.read_exact_at(&mut raw[..len as usize], s.offset + here).context("reading the core")?;
        let (mut extents, mut data): (Vec<Extent>, Vec<u8>) = (Vec::new(), Vec::new());
        for (i, page) in raw.chunks(PAGE as usize).enumerate() {
            let vaddr = s.start + here + i as u64 * PAGE;
            let zero = page.iter().all(|b| *b == 0);
            let (content, reference) =
                if zero { (Content::ZERO, 0) } else { (Content::DATA, data.len() as u64 / PAGE) };
            if !zero {
                data.extend_from_slice(page);
            }
            match extents.last_mut().filter(|last| last.content == content) {
                Some(last) => last.pages += 1,
                None => extents.push(Extent { vaddr: Addr(vaddr), pages: 1, content, reserved: 0, reference }),
            }
        }
        let sum: Option<Raw<32>> = (!data.is_empty()).then(|| digest(&data));
        writer.pages(PROCESS, &extents, &data, sum)?;
        here += len;
    }
    Ok(())
}
