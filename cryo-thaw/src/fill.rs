//! Pages into the host.
//!
//! From a file several workers fill different batches at once: first touch of memory is what takes time, and the kernel does it for all in parallel.
//! Each batch goes through one buffer that fits the cache, so that its checksum and its digest are right before a byte of it reaches the host.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use cryo_format::chain::Below;
use cryo_format::image::Image;
use cryo_format::index::IndexEntry;
use cryo_format::prim::Raw;
use cryo_format::read::Stream;
use cryo_format::section::Section;
use cryo_format::section::extents::{Content, Extents};
use cryo_format::section::objects::{Object, ObjectKind};
use cryo_format::section::vmas::{Backing, VmFlags, Vma};
use cryo_format::{Kind, limits};
use cryo_tracee::proc::Meminfo;
use cryo_tracee::{Host, Memory, hugetlb};

use crate::Result;
use crate::error::{About, Error, RefusalKind, refuse};
use crate::ice::Pages;
use crate::kept_pages::{Keep, KeptPages, Piece};
use crate::notes::Notes;
use crate::remap::{Shape, pool_lacks, pool_too_small};
use crate::stdin::Pipe;

pub(crate) const PAGE: u64 = 4096;
/// Two keep the kernel busy with first touch; up to two more compare digests meanwhile, where there are CPUs for them.
const WORKERS: std::ops::RangeInclusive<usize> = 2..=4;
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// A process that gets pages.
pub struct Target<'a> {
    /// Its local id.
    pub process: u64,
    /// Its memory.
    pub memory: &'a Memory,
    /// Its mappings.
    pub vmas: &'a [Vma],
    /// What became of them.
    pub shape: &'a Shape,
}

/// Whose pages are filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Those of this process. They come before those of the processes that are born of it.
    Of(u64),
    /// All that are left: of the only process, and of objects.
    Rest,
}

/// Where pages go.
pub struct Filler<'a> {
    /// The processes.
    pub targets: &'a [Target<'a>],
    /// Objects with content of their own: deleted files, as descriptors of ours.
    pub files: &'a HashMap<u64, File>,
    /// Takes what is to be told.
    pub notes: &'a Notes,
    /// Compare the digests of pages; their checksums always are.
    pub verify: bool,
    /// What is filled in by others, later (see `lazy.rs`): addresses, of the only process.
    pub later: &'a [(u64, u64)],
    /// What is not filled in, but kept.
    pub keep: Option<&'a Keep>,
}

/// Fills in those whose turn it is. When it returns, each of their checksums and digests was right.
pub fn fill(pages: &mut Pages, filler: &Filler<'_>, turn: Turn) -> Result<()> {
    if matches!(pages, Pages::Kept { kept, .. } if kept.is_empty()) {
        return Ok(());
    }
    let windows = if turn == Turn::Rest { windows(filler.targets.iter().map(|t| t.vmas)) } else { HashMap::new() };
    let work = Work { filler, windows, left: AtomicU64::new(available()), elsewhere: Mutex::default() };
    let below = match pages {
        Pages::File { image, done } => {
            from_file(image, done, &work, turn)?;
            image.below()
        }
        Pages::Pipe { stream, next, below } => {
            from_pipe(stream, next, &work, turn)?;
            below.as_deref()
        }
        Pages::Kept { kept, done } => return from_kept(kept, done, &work, turn),
    };
    from_parents(below, &work)
}

/// A filler at work.
struct Work<'a> {
    filler: &'a Filler<'a>,
    windows: HashMap<u64, Vec<Window>>,
    /// Bytes that may still be written without bytes in the image: see [`Work::draw`].
    left: AtomicU64,
    /// What is with the parent, by owners: ranges of addresses.
    elsewhere: Mutex<HashMap<u64, Vec<(u64, u64)>>>,
}

/// Where a part of shared memory is mapped.
struct Window {
    /// Offsets in the object.
    start: u64,
    end: u64,
    /// Address of the first.
    vaddr: u64,
    /// Place of the process that maps it, and of its mapping there.
    target: usize,
    vma: usize,
}

/// The content of each shared object as its mappings show it: ascending, each part once.
fn windows<'a>(processes: impl Iterator<Item = &'a [Vma]>) -> HashMap<u64, Vec<Window>> {
    let mut all: HashMap<u64, Vec<Window>> = HashMap::new();
    for (target, vmas) in processes.enumerate() {
        for (vma, v) in vmas.iter().enumerate().filter(|(_, v)| v.backing == Backing::SHARED) {
            let end = v.offset.saturating_add(v.end.0 - v.start.0);
            all.entry(v.object).or_default().push(Window { start: v.offset, end, vaddr: v.start.0, target, vma });
        }
    }
    for windows in all.values_mut() {
        windows.sort_by_key(|w| w.start);
        let mut shown = 0;
        for w in windows.iter_mut() {
            let hidden = shown.min(w.end).saturating_sub(w.start);
            (w.start, w.vaddr) = (w.start + hidden, w.vaddr + hidden);
            shown = shown.max(w.end);
        }
        windows.retain(|w| w.start < w.end);
    }
    all
}

/// Bytes that this machine can give to a process now (proc_meminfo(5)); as much as it likes where it does not say.
pub(crate) fn available() -> u64 {
    let meminfo = Meminfo::now();
    let swap = meminfo.bytes("SwapFree").unwrap_or(0);
    meminfo.bytes("MemAvailable").map_or(u64::MAX, |memory| memory + swap)
}

/// More is asked for than there is.
pub(crate) fn lacks<T>(bytes: u64, left: u64) -> Result<T> {
    refuse(
        RefusalKind::Memory,
        format!(
            "the image asks for {} MiB of memory for pages that it does not hold, and this machine has {} MiB left",
            bytes >> 20,
            left >> 20
        ),
    )
}

/// The pages of the batch whose EXTS is chunk `i`, with the right checksum, and digest if that is to be verified. Returns how many bytes they have in the image.
pub(crate) fn data(image: &Image<File>, i: usize, whole: &Extents, verify: bool, buf: &mut Vec<u8>) -> Result<u64> {
    let chunks = image.chunks();
    let Some(d) = following(whole, &chunks[i], chunks.get(i + 1))? else {
        buf.clear();
        return Ok(0);
    };
    buf.resize(d.raw as usize, 0);
    image.data(d, buf)?;
    if verify {
        compare(whole, buf, &format_args!("{}: chunk DATA at offset {:#x}", image.name(), d.offset))?;
    }
    Ok(d.stored)
}

/// BLAKE3 of a batch as EXTS has it; zero where it was frozen with --no-digest.
fn compare(extents: &Extents, data: &[u8], place: &dyn std::fmt::Display) -> Result<()> {
    if extents.digest == Raw::default() || extents.digest == cryo_format::digest(data) {
        return Ok(());
    }
    refuse(
        RefusalKind::Image,
        format!("{place}: pages are not those that were frozen: their digest is another one (rule 46)"),
    )
}

fn from_file(image: &Image<File>, done: &mut HashSet<u64>, filler: &Work<'_>, turn: Turn) -> Result<()> {
    let chunks = image.chunks();
    let wanted = |owner: u64| match turn {
        Turn::Of(process) => owner == process,
        Turn::Rest => !done.contains(&owner),
    };
    let batches: Vec<usize> =
        (0..chunks.len()).filter(|i| chunks[*i].kind == Extents::KIND && wanted(chunks[*i].owner)).collect();
    if let Turn::Of(process) = turn {
        done.insert(process);
    }
    let now = cryo_format::ranges::without(&[(0, u64::MAX)], filler.filler.later);
    let process = filler.filler.targets.first().map(|target| target.process);
    spread(batches.len(), &|i, buf| {
        let i = batches[i];
        let extents: Extents = image.section(&chunks[i])?;
        let owner = chunks[i].owner;
        if filler.filler.later.is_empty() || Some(owner) != process {
            return filler.stored(image, i, owner, &extents, &extents, buf);
        }
        let part = Extents { extents: extents.within(&now, PAGE).into(), ..extents.clone() };
        if part.extents.is_empty() { Ok(()) } else { filler.stored(image, i, owner, &extents, &part, buf) }
    })
}

/// What was kept when others were filled in.
fn from_kept(kept: &KeptPages, done: &mut HashSet<u64>, filler: &Work<'_>, turn: Turn) -> Result<()> {
    let owners: Vec<u64> = match turn {
        Turn::Of(process) => vec![process],
        Turn::Rest => kept.owners().filter(|owner| !done.contains(owner)).collect(),
    };
    let pieces: Vec<(u64, &Piece)> = owners.iter().flat_map(|o| kept.of(*o).map(|piece| (*o, piece))).collect();
    done.extend(owners);
    spread(pieces.len(), &|i, _| {
        let (owner, piece) = pieces[i];
        filler.place(owner, (piece.start, piece.end), piece.content, piece.bytes.as_deref())
    })
}

/// What is with the parent, with its parent, and so on.
fn from_parents(mut below: Option<&Below<File>>, filler: &Work<'_>) -> Result<()> {
    // What the set below calls whom.
    let mut names: HashMap<u64, u64> = HashMap::new();
    loop {
        let wanted = filler.elsewhere();
        if wanted.is_empty() {
            return Ok(());
        }
        let Some(Below { image, parent }) = below else {
            return refuse(RefusalKind::Image, "the image has pages that are with a parent, and names none (rule 74)");
        };
        let mut heirs: HashMap<u64, Vec<u64>> = HashMap::new();
        for owner in wanted.keys() {
            let Some(name) = parent.of(*names.get(owner).unwrap_or(owner)) else {
                return refuse(
                    RefusalKind::Image,
                    format!("owner {owner} has pages in {}, which has not got them (rule 74)", image.name()),
                );
            };
            names.insert(*owner, name);
            heirs.entry(name).or_default().push(*owner);
        }
        // All of it is looked for before a page is read.
        let mut found: HashMap<u64, u64> = HashMap::new();
        let mut batches: Vec<(usize, u64, Extents, Extents)> = Vec::new();
        for (i, entry) in image.chunks().iter().enumerate().filter(|(_, e)| e.kind == Extents::KIND) {
            let Some(heirs) = heirs.get(&entry.owner) else { continue };
            let extents: Extents = image.section(entry)?;
            for heir in heirs {
                let part = extents.within(wanted.get(heir).map_or(&[][..], Vec::as_slice), PAGE);
                if part.is_empty() {
                    continue;
                }
                *found.entry(*heir).or_default() += part.iter().map(|e| e.pages).sum::<u64>();
                let part = Extents { extents: part.into(), ..extents.clone() };
                batches.push((i, *heir, extents.clone(), part));
            }
        }
        for (owner, ranges) in &wanted {
            let pages = ranges.iter().map(|(start, end)| (end - start) / PAGE).sum::<u64>();
            let found = found.get(owner).copied().unwrap_or(0);
            if found != pages {
                return refuse(
                    RefusalKind::Image,
                    format!(
                        "owner {owner} has {pages} pages with {}, and only {found} of them are there (rule 74)",
                        image.name()
                    ),
                );
            }
        }
        spread(batches.len(), &|i, buf| {
            let (at, owner, whole, part) = &batches[i];
            filler.stored(image, *at, *owner, whole, part, buf)
        })?;
        below = image.below();
    }
}

/// Does `count` tasks, many of them on several threads; each gets a buffer.
fn spread(count: usize, task: &(dyn Fn(usize, &mut Vec<u8>) -> Result<()> + Sync)) -> Result<()> {
    let next = AtomicUsize::new(0);
    let work = || -> Result<()> {
        let mut buf = Vec::new();
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            if i >= count {
                return Ok(());
            }
            task(i, &mut buf)?;
        }
    };
    if count < 8 {
        return work();
    }
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = cpus.clamp(*WORKERS.start(), *WORKERS.end());
    let done = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let mut result = Ok(());
        for w in workers {
            let done = w.join().unwrap_or_else(|_| refuse(RefusalKind::Internal, "a filling thread failed"));
            if let Err(e) = done {
                // The others find nothing left to do.
                next.store(count, Ordering::Relaxed);
                result = result.and(Err(e));
            }
        }
        result
    });
    match done {
        // Only the tracer, which is this thread, may write through a protection where the kernel was built so (CONFIG_PROC_MEM_FORCE_PTRACE, 6.12;
        // Debian's 7.2 is): alone, and from the beginning.
        Err(Error::Tracee(e)) if e.errno() == Some(libc::EIO) => {
            next.store(0, Ordering::Relaxed);
            work()
        }
        other => other,
    }
}

/// The DATA chunk that belongs to a batch.
fn following<'a>(
    extents: &Extents,
    entry: &IndexEntry,
    next: Option<&'a IndexEntry>,
) -> Result<Option<&'a IndexEntry>> {
    if extents.data_pages == 0 {
        return Ok(None);
    }
    match next.filter(|d| {
        d.kind == Kind::DATA
            && d.owner == entry.owner
            && d.raw == extents.data_pages * PAGE
            && d.raw <= limits::MAX_DATA
    }) {
        Some(d) => Ok(Some(d)),
        None => refuse(
            RefusalKind::Image,
            format!(
                "chunk EXTS at offset {:#x} announces {} pages, and no such DATA follows",
                entry.offset, extents.data_pages
            ),
        ),
    }
}

/// `next` is an EXTS that was read when it was not yet its turn.
fn from_pipe(
    stream: &mut Stream<Box<dyn Pipe>>,
    next: &mut Option<(u64, Extents)>,
    filler: &Work<'_>,
    turn: Turn,
) -> Result<()> {
    let mut buf = Vec::new();
    loop {
        if let Some((owner, extents)) = next {
            if matches!(turn, Turn::Of(process) if process != *owner) {
                return Ok(());
            }
            if extents.data_pages == 0 {
                filler.batch(*owner, extents, &[], 0)?;
                *next = None;
            }
        }
        let Some(mut chunk) = stream.next()? else { break };
        if chunk.kind() == Extents::KIND {
            *next = Some((chunk.owner(), chunk.section::<Extents>()?));
        } else if chunk.kind() == Kind::DATA {
            let Some((owner, extents)) = next.take() else {
                return refuse(RefusalKind::Image, "a DATA chunk without its EXTS");
            };
            chunk.data(&mut buf)?;
            if filler.filler.verify {
                compare(&extents, &buf, &format_args!("the .freeze: chunk DATA at offset {:#x}", chunk.offset()))?;
            }
            let stored = chunk.header().stored;
            filler.batch(owner, &extents, &buf, stored)?;
        }
    }
    let behind = stream.get_ref().waiting();
    if behind > 0 && turn == Turn::Rest {
        filler.filler.notes.add(format!(
            "{behind} bytes or more follow the set in the pipe: they are no part of it, and left to who reads standard input next"
        ));
    }
    Ok(())
}

impl Work<'_> {
    /// The ranges that are with the parent, so far; none from here on.
    fn elsewhere(&self) -> HashMap<u64, Vec<(u64, u64)>> {
        let mut all = std::mem::take(&mut *self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner));
        for ranges in all.values_mut() {
            ranges.sort_unstable();
            // A batch that was begun anew has said so twice.
            ranges.dedup();
        }
        all
    }

    /// Fills in `part` of the extents in chunk `i` of a file, as pages of `owner`.
    fn stored(
        &self,
        image: &Image<File>,
        i: usize,
        owner: u64,
        whole: &Extents,
        part: &Extents,
        buf: &mut Vec<u8>,
    ) -> Result<()> {
        let needed = part.extents.iter().any(|e| e.content.is_stored()) || part == whole;
        buf.clear();
        let stored = if needed { data(image, i, whole, self.filler.verify, buf)? } else { 0 };
        self.batch(owner, part, buf, stored)
    }

    /// An image gives content without having it: zero pages over a file, one stored page at many addresses, a megabyte that was compressed to a
    /// hundred bytes. A few bytes ask for a terabyte so, and are refused what this machine has not got.
    fn draw(&self, bytes: u64) -> Result<()> {
        let drawn = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        match drawn {
            Ok(_) => Ok(()),
            Err(left) => lacks(bytes, left),
        }
    }

    /// `data` are its pages, of which the image has `stored` bytes.
    fn batch(&self, owner: u64, extents: &Extents, data: &[u8], stored: u64) -> Result<()> {
        let filled = extents.extents.iter().filter(|e| e.content.is_stored());
        let used = filled.fold(0u64, |sum, e| sum.saturating_add(e.pages.saturating_mul(PAGE)));
        self.draw(used.saturating_sub(stored))?;
        for e in &extents.extents {
            let end = e.pages.checked_mul(PAGE).and_then(|len| e.vaddr.0.checked_add(len));
            let Some(end) = end else {
                return refuse(RefusalKind::Image, format!("extent at {}: it ends beyond all addresses", e.vaddr));
            };
            let bytes = match e.content {
                Content::ZERO => None,
                Content::PARENT => {
                    let mut elsewhere = self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner);
                    elsewhere.entry(owner).or_default().push((e.vaddr.0, end));
                    continue;
                }
                Content::DATA | Content::FILE_DATA => {
                    let from = e.reference.checked_mul(PAGE).map(|f| f as usize);
                    let part = from.and_then(|f| data.get(f..f.checked_add((end - e.vaddr.0) as usize)?));
                    match part {
                        Some(b) => Some(b),
                        None => {
                            return refuse(
                                RefusalKind::Image,
                                format!("extent at {}: its pages are not in its DATA chunk", e.vaddr),
                            );
                        }
                    }
                }
                other => {
                    return refuse(
                        RefusalKind::Image,
                        format!("extent at {}: content {} is unknown to this release", e.vaddr, other.0),
                    );
                }
            };
            let range = (e.vaddr.0, end);
            match self.filler.keep {
                Some(keep) => self.place_or_keep(keep, owner, range, e.content, bytes)?,
                None => self.place(owner, range, e.content, bytes)?,
            }
        }
        Ok(())
    }

    fn place_or_keep(
        &self,
        keep: &Keep,
        owner: u64,
        (start, end): (u64, u64),
        content: Content,
        bytes: Option<&[u8]>,
    ) -> Result<()> {
        let part = |(from, to): (u64, u64)| bytes.map(|b| &b[(from - start) as usize..(to - start) as usize]);
        let filled = keep.filled(owner, (start, end));
        for range in &filled {
            self.place(owner, *range, content, part(*range))?;
        }
        // A file that is there is as it is, for all who come later.
        if self.filler.targets.iter().any(|t| t.shape.identical.contains(&owner)) {
            return Ok(());
        }
        for (start, end) in cryo_format::ranges::without(&[(start, end)], &filled) {
            keep.keep(owner, Piece { start, end, content, bytes: part((start, end)).map(Box::from) });
        }
        Ok(())
    }

    /// To its owner: a process, or an object.
    fn place(&self, owner: u64, (start, end): (u64, u64), content: Content, bytes: Option<&[u8]>) -> Result<()> {
        match self.filler.targets.iter().find(|t| t.process == owner) {
            Some(target) => self.memory(target, start, end, content, bytes),
            None => self.object(owner, start, bytes),
        }
    }

    /// Into the host's memory; an extent may run over several mappings.
    fn memory(&self, target: &Target<'_>, start: u64, end: u64, content: Content, bytes: Option<&[u8]>) -> Result<()> {
        let mut at = start;
        while at < end {
            let i = target.vmas.partition_point(|v| v.end.0 <= at);
            let Some(vma) = target.vmas.get(i).filter(|v| v.start.0 <= at) else {
                return refuse(RefusalKind::Image, format!("the image has pages at {at:#x}, where nothing is mapped"));
            };
            let to = end.min(vma.end.0);
            let part = bytes.map(|b| &b[(at - start) as usize..(to - start) as usize]);
            self.piece(target, vma, at, to, content, part)?;
            at = to;
        }
        Ok(())
    }

    fn piece(
        &self,
        target: &Target<'_>,
        vma: &Vma,
        at: u64,
        to: u64,
        content: Content,
        bytes: Option<&[u8]>,
    ) -> Result<()> {
        let original = target.shape.identical.contains(&vma.object);
        let over_file = original || target.shape.unlinked.contains_key(&vma.object);
        match vma.backing {
            Backing::SPECIAL if target.shape.vdso.is_none() => return Ok(()),
            _ if content == Content::FILE_DATA && original => return Ok(()),
            _ => {}
        }
        match bytes {
            Some(bytes) => put(target, vma, at, bytes),
            // Fresh memory is zero; a private page over a file must be made so.
            None if vma.backing != Backing::PRIVATE_FILE || !over_file => Ok(()),
            None => {
                self.draw(to - at)?;
                let pieces = (at..to).step_by(ZEROS.len());
                pieces.into_iter().try_for_each(|at| {
                    let n = (to - at).min(ZEROS.len() as u64) as usize;
                    put(target, vma, at, &ZEROS[..n])
                })
            }
        }
    }

    /// Into an object's own content.
    fn object(&self, owner: u64, offset: u64, bytes: Option<&[u8]>) -> Result<()> {
        let Some(bytes) = bytes else { return Ok(()) };
        if let Some(file) = self.filler.files.get(&owner) {
            let about = || format!("bringing back the content of object {owner}");
            return match file.write_all_at(bytes, offset) {
                Err(e) if e.kind() == std::io::ErrorKind::InvalidInput => huge(file, owner, bytes, offset),
                written => written.about(about),
            };
        }
        // A file that is there is as it is.
        if self.filler.targets.iter().any(|t| t.shape.identical.contains(&owner)) {
            return Ok(());
        }
        // Shared memory: through its mappings, which may each show a part of it.
        let mut done = 0;
        while done < bytes.len() {
            let at = offset + done as u64;
            let windows = self.windows.get(&owner).map_or(&[][..], Vec::as_slice);
            let Some(w) = windows.get(windows.partition_point(|w| w.end <= at)).filter(|w| w.start <= at) else {
                return refuse(
                    RefusalKind::Image,
                    format!("the image has content for object {owner} at {at:#x}, where nothing is mapped"),
                );
            };
            let n = (w.end - at).min((bytes.len() - done) as u64) as usize;
            let part = &bytes[done..done + n];
            let target = &self.filler.targets[w.target];
            touched(&target.vmas[w.vma], target.memory.fill(w.vaddr + (at - w.start), part))?;
            done += n;
        }
        Ok(())
    }
}

/// Into a file of huge TLB pages, which can only be mapped.
fn huge(file: &File, owner: u64, bytes: &[u8], offset: u64) -> Result<()> {
    let Some(page) = hugetlb::page_size(file) else {
        return refuse(RefusalKind::File, format!("object {owner}: what was made for it cannot be written"));
    };
    match hugetlb::write_at(file, page, bytes, offset) {
        Err(e) if e.errno() == Some(libc::ENOMEM) => {
            let len = file.metadata().map_or(0, |m| m.len());
            refuse(RefusalKind::Memory, pool_lacks(&format!("a file without a name (object {owner})"), len, page))
        }
        other => Ok(other?),
    }
}

fn put(target: &Target<'_>, vma: &Vma, at: u64, bytes: &[u8]) -> Result<()> {
    // The slower way goes through any protection.
    let writable = vma.prot & libc::PROT_WRITE as u32 != 0;
    touched(vma, if writable { target.memory.fill(at, bytes) } else { target.memory.write(at, bytes) })
}

fn touched(vma: &Vma, result: cryo_tracee::Result<()>) -> Result<()> {
    match result {
        Err(_) if vma.flags.has(VmFlags::HUGETLB) => refuse(RefusalKind::File, pool_too_small(vma)),
        other => Ok(other?),
    }
}

/// Cuts the files of objects to their sizes (their last page was stored whole) and gives deleted ones their mode, which may forbid what filling
/// them took.
pub fn trim(host: &Host, files: &HashMap<u64, File>, objects: &[Object]) -> Result<()> {
    for o in objects {
        if let Some(file) = files.get(&o.id) {
            file.set_len(o.size).about(|| format!("process {}: cutting {} to its size", host.pid(), o.path))?;
            if o.kind == ObjectKind::DELETED {
                let mode = std::fs::Permissions::from_mode(o.mode & 0o7777);
                file.set_permissions(mode).about(|| format!("process {}: mode of {}", host.pid(), o.path))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use cryo_format::prim::Addr;

    fn shared(start: u64, pages: u64, offset: u64) -> Vma {
        let (start, end) = (Addr(start), Addr(start + pages * PAGE));
        Vma { start, end, backing: Backing::SHARED, object: 4, offset, ..Vma::default() }
    }

    #[test]
    fn shared_memory_is_filled_through_each_part_once() {
        // The second shows pages 1 to 4 of the object, the third page 2 only, the fourth one behind a gap.
        let page = |n: u64| n * PAGE;
        let vmas = [
            shared(page(10), 2, 0),
            shared(page(20), 4, page(1)),
            shared(page(30), 1, page(2)),
            shared(page(40), 1, page(9)),
        ];
        let all = windows([&vmas[..]].into_iter());
        let shown: Vec<_> = all[&4].iter().map(|w| (w.start / PAGE, w.end / PAGE, w.vaddr / PAGE, w.vma)).collect();
        assert_eq!(shown, [(0, 2, 10, 0), (2, 5, 21, 1), (9, 10, 40, 3)]);
    }
}
