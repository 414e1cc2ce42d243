//! Memory of a core: its ranges, the files that are mapped in them, and what of them is here.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::bail;
use cryo_format::prim::Addr;
use cryo_format::section::notes::Note;
use cryo_format::section::objects::{Object, ObjectKind};
use cryo_format::section::vmas::{Backing, VmFlags, Vma};
use object::ReadCache;
use object::elf::PT_LOAD;

use super::{Found, HEADS, PAGE, Segment, bytes, thread_id};
use crate::convert::words::{Mapped, auxiliary};
use crate::elf::{self, build_id};
use crate::space::files_are_left_alone;

/// The ranges with what is mapped in them, and the files.
pub(super) fn memory(file: &File, segments: &[Segment], found: &mut Found) -> anyhow::Result<(Vec<Vma>, Vec<Object>)> {
    let mut objects: BTreeMap<Vec<u8>, Object> = BTreeMap::new();
    let first = thread_id(found.threads.len());
    let starts = found.mapped.iter().rev().filter(|m| m.offset == 0).map(|m| (&m.path[..], m.start));
    let starts: HashMap<&[u8], u64> = starts.collect();
    for m in &found.mapped {
        if objects.contains_key(&m.path) {
            continue;
        }
        let id = first + objects.len() as u64;
        let head = starts.get(&m.path[..]).map_or(Ok(Vec::new()), |at| bytes(file, segments, *at, HEADS))?;
        let (object, note) = object(id, &m.path, &head, file)?;
        found.notes.extend(note);
        objects.insert(m.path.clone(), object);
    }
    let (sysinfo, stack) = (auxiliary(&found.auxv, 33), auxiliary(&found.auxv, 31));
    let vdso = first + objects.len() as u64;
    let mut vmas = Vec::new();
    let mut has_vdso = false;
    for s in segments {
        let mut here = s.start;
        let firsts = found.mapped.partition_point(|m| m.end <= s.start);
        let within: Vec<&Mapped> = found.mapped[firsts..].iter().take_while(|m| m.start < s.end).collect();
        let mut add = |start: u64, end: u64, mapped: Option<&Mapped>| {
            if start >= end {
                return;
            }
            let mut vma = Vma { start: Addr(start), end: Addr(end), prot: s.prot, ..Vma::default() };
            let inside = |at: Option<u64>| at.is_some_and(|at| (start..end).contains(&at));
            if let Some((m, o)) = mapped.and_then(|m| Some((m, objects.get(&m.path)?))) {
                (vma.backing, vma.object) = (Backing::PRIVATE_FILE, o.id);
                vma.offset = m.offset.wrapping_add(start - m.start);
            } else if inside(sysinfo) {
                (vma.backing, vma.object, vma.name) = (Backing::SPECIAL, vdso, "[vdso]".into());
                has_vdso = true;
            } else if inside(stack) {
                (vma.name, vma.flags) = ("[stack]".into(), VmFlags(VmFlags::GROWSDOWN));
            }
            vmas.push(vma);
        };
        for m in within {
            add(here, m.start.min(s.end), None);
            add(m.start.max(here), m.end.min(s.end), Some(m));
            here = m.end.min(s.end).max(here);
        }
        add(here, s.end, None);
    }
    // What is not in the core is neither zero nor anything else that is known.
    let mut vmas: Vec<Vma> = vmas.into_iter().flat_map(|v| absent(v, segments)).collect();
    // gdb's gcore leaves out code: of that the list of files knows where it was, and the file itself with what rights it is mapped.
    for m in &found.mapped {
        let Some(o) = objects.get(&m.path) else { continue };
        let first = segments.partition_point(|s| s.end <= m.start);
        let mut here = m.start;
        let covered = segments[first..].iter().take_while(|s| s.start < m.end).map(|s| (s.start, s.end));
        for (start, end) in covered.chain([(m.end, m.end)]) {
            if here < start {
                let offset = m.offset.wrapping_add(here - m.start);
                let vma = Vma {
                    start: Addr(here),
                    end: Addr(start),
                    prot: if o.size > 0 { rights(&o.path, offset) } else { 1 },
                    backing: Backing::PRIVATE_FILE,
                    object: o.id,
                    offset,
                    ..Vma::default()
                };
                vmas.push(vma);
            }
            here = here.max(end);
        }
    }
    vmas.sort_by_key(|v| v.start);
    if let Some([a, b]) = vmas.array_windows().find(|[a, b]| b.start < a.end) {
        bail!("ranges overlap: one ends at {}, the next begins at {}", a.end, b.start);
    }
    let mut objects: Vec<Object> = objects.into_values().collect();
    if has_vdso {
        objects.push(Object { id: vdso, kind: ObjectKind::VDSO, ..Object::default() });
    }
    objects.sort_by_key(|o| o.id);
    Ok((vmas, objects))
}

/// A range without a file, cut where its bytes in the core end.
fn absent(vma: Vma, segments: &[Segment]) -> Vec<Vma> {
    let i = segments.partition_point(|s| s.end <= vma.start.0);
    let Some(s) = segments.get(i).filter(|_| vma.backing == Backing::ANONYMOUS) else { return vec![vma] };
    let end = (s.start + s.held).next_multiple_of(PAGE).clamp(vma.start.0, vma.end.0);
    let missing = Vma { start: Addr(end), backing: Backing::SPECIAL, name: "[not in the core]".into(), ..vma.clone() };
    let there = Vma { end: Addr(end), ..vma };
    [there, missing].into_iter().filter(|v| v.start < v.end).collect()
}

/// A mapped file. Is it the one that is here now? Its build-id says that; where there is none, that nobody has changed it since the core was written.
fn object(id: u64, path: &[u8], head: &[u8], core: &File) -> anyhow::Result<(Object, Option<Note>)> {
    let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
    let mut object = Object { id, kind: ObjectKind::FILE, path: path.to_vec().into(), ..Object::default() };
    let then = build_id(head);
    object.build_id = then.clone().unwrap_or_default().into();
    let here = Path::new(OsStr::from_bytes(path));
    let about = if files_are_left_alone() { None } else { here.metadata().ok().filter(std::fs::Metadata::is_file) };
    let Some(about) = about else { return Ok((object, None)) };
    let note = |text: &str| Some(Note { object: path.to_vec().into(), text: text.into() });
    let now = File::open(here).ok().and_then(|file| build_id(&ReadCache::new(file)));
    let same = match (&then, &now) {
        (Some(then), now) => now.as_ref() == Some(then),
        (None, _) => about.mtime() <= core.metadata()?.mtime(),
    };
    if !same {
        return Ok((object, note("it is another one now: what the core does not have of it is missing")));
    }
    (object.dev, object.ino, object.mode, object.size) = (about.dev(), about.ino(), about.mode(), about.len());
    (object.mtime_sec, object.mtime_nsec) = (about.mtime(), about.mtime_nsec() as u64);
    let taken = "taken to be the file that is here: the core has no build-id of it, and it is older than the core";
    Ok((object, if then.is_some() { None } else { note(taken) }))
}

/// With what rights a part of an ELF file is mapped when it is executed; what is none is read.
fn rights(path: &[u8], offset: u64) -> u32 {
    let found = || {
        let cache = ReadCache::new(File::open(Path::new(OsStr::from_bytes(path))).ok()?);
        let within = |s: &elf::Segment| {
            let (start, end) = (s.offset & !(PAGE - 1), s.offset.checked_add(s.size));
            s.kind == PT_LOAD && end.is_some_and(|end| (start..end).contains(&offset))
        };
        elf::segments(&cache)?.into_iter().find(within).map(|s| prot(s.flags))
    };
    found().unwrap_or(1)
}

/// PF_R, PF_W and PF_X as PROT_READ, PROT_WRITE and PROT_EXEC.
pub(super) fn prot(flags: u32) -> u32 {
    (flags & 4) >> 2 | flags & 2 | (flags & 1) << 2
}
