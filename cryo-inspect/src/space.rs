//! The memory of a process as the process would see it: its own pages, those of what is mapped, zeros, and what the image does not have.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::PathBuf;

use cryo_format::memory::Memory;
use cryo_format::section::extents::{Content, Extents};
use cryo_format::section::forked::Forked;
use cryo_format::section::objects::{Object, ObjectKind, Objects};
use cryo_format::section::vmas::{Backing, Vma, Vmas};
use cryo_format::{Error, Profile, Result};
use object::read::ReadCache;

use crate::arch::Arch;
use crate::elf::build_id;
use crate::ice::Ice;
use crate::source::{Source, io_error};

/// Processes that inherit pages from each other: no family is deeper.
const DEEPEST: usize = 64;

/// Where the content of a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// In the image, and nowhere else.
    Stored,
    /// In the image, and the mapped file has the same.
    AsFile,
    /// Zero.
    Zero,
    /// With the object that is mapped, in the image: the object's local id.
    Object(u64),
    /// With the parent, in the image.
    Parent,
    /// In a file on this machine that is the one that was mapped: the object's local id.
    Disk(u64),
    /// Nowhere: the image refers to a file that is not here, or another one, or the kernel's own.
    Absent,
}

/// A range of addresses whose content is at one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// First address.
    pub start: u64,
    /// First address behind it.
    pub end: u64,
    /// Where its content is.
    pub place: Place,
    /// Offset in the object or the file of `start`.
    pub offset: u64,
}

/// The memory of a process.
pub struct Space<'a> {
    /// Its segments; none if the template is not there.
    pub vmas: &'a [Vma],
    runs: Vec<Run>,
    own: Option<Memory<'a, Source>>,
    objects: HashMap<u64, Memory<'a, Source>>,
    files: HashMap<u64, File>,
    parent: Option<Box<Space<'a>>>,
    /// Bytes of a word of the process.
    word: usize,
}

impl<'a> Space<'a> {
    /// That of the process with this local id.
    pub fn of(ice: &'a Ice, owner: u64) -> Result<Self> {
        Self::nested(ice, owner, 0)
    }

    /// The first `len` bytes of a file or memory object in the image, by their offsets; what no extent covers is zero.
    pub fn of_object(ice: &'a Ice, object: u64, len: u64) -> Result<Self> {
        let image = ice.part(Profile::Freeze).and_then(|p| p.image.as_ref());
        let own = match image {
            Some(image) if ice.sections::<Extents>(object).next().is_some() => Some(image.memory(object)?),
            _ => None,
        };
        let runs = cover(own.as_ref(), 0, len, ice.page_size()).into_iter().map(|(start, end, content)| Run {
            start,
            end,
            place: content.map_or(Place::Zero, |content| place_of(own.as_ref(), content)),
            offset: 0,
        });
        let runs = runs.collect();
        Ok(Self { vmas: &[], runs, own, objects: HashMap::new(), files: HashMap::new(), parent: None, word: 8 })
    }

    fn nested(ice: &'a Ice, owner: u64, depth: usize) -> Result<Self> {
        let image = ice.part(Profile::Freeze).and_then(|p| p.image.as_ref());
        let memory = |owner: u64| match image {
            Some(image) if ice.sections::<Extents>(owner).next().is_some() => image.memory(owner).map(Some),
            _ => Ok(None),
        };
        let vmas = ice.get::<Vmas>(owner).map_or(&[][..], |v| &v.vmas[..]);
        let own = memory(owner)?;
        let forked = ice.get::<Forked>(owner);
        let parent = match forked {
            Some(f) if depth < DEEPEST && f.parent != owner => Some(Box::new(Self::nested(ice, f.parent, depth + 1)?)),
            _ => None,
        };
        let word = Arch::of_process(ice, owner).word();
        let mut space =
            Self { vmas, runs: Vec::new(), own, objects: HashMap::new(), files: HashMap::new(), parent, word };
        let objects: &[Object] = ice.get::<Objects>(0).map_or(&[], |o| &o.objects);
        for v in vmas {
            let Ok(i) = objects.binary_search_by_key(&v.object, |o| o.id) else { continue };
            if space.objects.contains_key(&v.object) || space.files.contains_key(&v.object) {
                continue;
            }
            if let Some(memory) = memory(v.object)? {
                space.objects.insert(v.object, memory);
            }
            if let Some(file) = same_file(&objects[i]) {
                space.files.insert(v.object, file);
            }
        }
        space.runs = space.plan(forked, ice.page_size());
        Ok(space)
    }

    /// Every run, in ascending order.
    fn plan(&self, forked: Option<&Forked>, page: u64) -> Vec<Run> {
        let mut runs = Vec::new();
        if self.vmas.is_empty() {
            for (start, end, content) in cover(self.own.as_ref(), 0, u64::MAX, page) {
                if let Some(place) = content.map(|content| place_of(self.own.as_ref(), content)) {
                    runs.push(Run { start, end, place, offset: 0 });
                }
            }
            return runs;
        }
        for v in self.vmas {
            for (start, end, content) in cover(self.own.as_ref(), v.start.0, v.end.0, page) {
                match content {
                    Some(content) => {
                        runs.push(Run { start, end, place: place_of(self.own.as_ref(), content), offset: 0 });
                    }
                    None => self.gap(v, start, end, forked, page, &mut runs),
                }
            }
        }
        runs
    }

    /// What no extent of the process covers.
    fn gap(&self, v: &Vma, start: u64, end: u64, forked: Option<&Forked>, page: u64, runs: &mut Vec<Run>) {
        let mut here = start;
        let ranges = forked.filter(|_| self.parent.is_some()).map_or(&[][..], |f| &f.ranges[..]);
        let first = ranges.partition_point(|r| r.end.0 <= start);
        for r in ranges[first..].iter().take_while(|r| r.start.0 < end) {
            let (a, b) = (r.start.0.max(here), r.end.0.min(end));
            if here < a {
                self.mapped(v, here, a, page, runs);
            }
            self.inherited(a, b, runs);
            here = b;
        }
        if here < end {
            self.mapped(v, here, end, page, runs);
        }
    }

    /// What the parent has there. Zero and absent stay what they are, so that nobody reads terabytes of them.
    fn inherited(&self, start: u64, end: u64, runs: &mut Vec<Run>) {
        let Some(parent) = &self.parent else { return };
        let first = parent.runs.partition_point(|r| r.end <= start);
        let mut here = start;
        for r in parent.runs[first..].iter().take_while(|r| r.start < end) {
            let (a, b) = (r.start.max(here), r.end.min(end));
            if here < a {
                runs.push(Run { start: here, end: a, place: Place::Absent, offset: 0 });
            }
            let place = match r.place {
                Place::Zero | Place::Absent => r.place,
                _ => Place::Parent,
            };
            match runs.last_mut() {
                Some(last) if last.end == a && a > start && last.place == place => last.end = b,
                _ => runs.push(Run { start: a, end: b, place, offset: 0 }),
            }
            here = b;
        }
        if here < end {
            runs.push(Run { start: here, end, place: Place::Absent, offset: 0 });
        }
    }

    /// What is mapped there.
    fn mapped(&self, v: &Vma, start: u64, end: u64, page: u64, runs: &mut Vec<Run>) {
        let offset = v.offset.wrapping_add(start - v.start.0);
        if v.backing == Backing::ANONYMOUS {
            return runs.push(Run { start, end, place: Place::Zero, offset: 0 });
        }
        let Some(memory) = self.objects.get(&v.object) else {
            let place = if self.files.contains_key(&v.object) { Place::Disk(v.object) } else { Place::Absent };
            return runs.push(Run { start, end, place, offset });
        };
        let Some(last) = offset.checked_add(end - start) else { return };
        for (a, b, content) in cover(Some(memory), offset, last, page) {
            let at = |o: u64| start + (o - offset);
            // What an object in the image does not have is a hole.
            let place = match content {
                Some(Content::DATA | Content::FILE_DATA | Content::PARENT) => Place::Object(v.object),
                _ => Place::Zero,
            };
            runs.push(Run { start: at(a), end: at(b), place, offset: a });
        }
    }

    /// The same once more, for another thread.
    pub fn again(&self) -> Result<Self> {
        let file = |(id, file): (&u64, &File)| Ok((*id, file.try_clone().map_err(|e| io_error("a mapped file", e))?));
        Ok(Self {
            vmas: self.vmas,
            runs: self.runs.clone(),
            own: self.own.as_ref().map(Memory::again),
            objects: self.objects.iter().map(|(id, memory)| (*id, memory.again())).collect(),
            files: self.files.iter().map(file).collect::<Result<_>>()?,
            parent: self.parent.as_ref().map(|p| Ok::<_, Error>(Box::new(p.again()?))).transpose()?,
            word: self.word,
        })
    }

    /// The file on this machine that is the object with this local id, and nothing says that it is another one.
    pub fn file(&self, object: u64) -> Option<&File> {
        self.files.get(&object)
    }

    /// Every run, in ascending order, without overlap.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// The runs between two addresses, cut there.
    pub fn within(&self, lo: u64, hi: u64) -> impl Iterator<Item = Run> {
        let first = self.runs.partition_point(|r| r.end <= lo);
        let runs = self.runs[first..].iter().take_while(move |r| r.start < hi);
        runs.map(move |r| {
            let start = r.start.max(lo);
            Run { start, end: r.end.min(hi), offset: r.offset.wrapping_add(start - r.start), ..*r }
        })
    }

    /// The run at an address.
    pub fn run(&self, addr: u64) -> Option<&Run> {
        self.runs.get(self.runs.partition_point(|r| r.end <= addr)).filter(|r| r.start <= addr)
    }

    /// The segment at an address.
    pub fn vma(&self, addr: u64) -> Option<&'a Vma> {
        self.vmas.get(self.vmas.partition_point(|v| v.end.0 <= addr)).filter(|v| v.start.0 <= addr)
    }

    /// Fills `out` with what stands at `addr`, and gives how many bytes it could fill: fewer than asked for where the image does not have what
    /// follows.
    pub fn read(&mut self, addr: u64, out: &mut [u8]) -> Result<usize> {
        let mut done = 0;
        while done < out.len() {
            let Some(here) = addr.checked_add(done as u64) else { break };
            let Some(run) = self.run(here).copied() else { break };
            let n = (run.end - here).min((out.len() - done) as u64) as usize;
            let part = &mut out[done..done + n];
            let at = run.offset.wrapping_add(here - run.start);
            let got = match run.place {
                Place::Stored | Place::AsFile => match &mut self.own {
                    Some(own) => own.read(here, part)?,
                    None => 0,
                },
                Place::Zero => {
                    part.fill(0);
                    n
                }
                Place::Object(id) => match self.objects.get_mut(&id) {
                    Some(object) => object.read(at, part)?,
                    None => 0,
                },
                Place::Parent => match &mut self.parent {
                    Some(parent) => parent.read(here, part)?,
                    None => 0,
                },
                Place::Disk(id) => self.files.get(&id).map_or(0, |file| fill(file, at, part)),
                Place::Absent => 0,
            };
            done += got;
            if got < n {
                break;
            }
        }
        Ok(done)
    }

    /// Bytes of a word of the process.
    pub fn word_size(&self) -> u64 {
        self.word as u64
    }

    /// A word as the process has them, if it is there.
    pub fn word(&mut self, addr: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        let n = self.word;
        (self.read(addr, &mut bytes[..n]).ok()? == n).then(|| u64::from_le_bytes(bytes))
    }

    /// Up to `most` bytes, as many as there are.
    pub fn bytes(&mut self, addr: u64, most: usize) -> Result<Vec<u8>> {
        // Not more than can be there: a caller may ask for what an image says.
        let there = self.runs[self.runs.partition_point(|r| r.end <= addr)..].iter();
        let mut len = 0u64;
        let mut here = addr;
        for run in there {
            if run.start > here || len >= most as u64 {
                break;
            }
            len += run.end - here;
            here = run.end;
        }
        let mut out = vec![0; len.min(most as u64) as usize];
        let n = self.read(addr, &mut out)?;
        out.truncate(n);
        Ok(out)
    }
}

/// Pages that are with the parent set are read there: to who looks at them they are stored.
fn place_of(memory: Option<&Memory<'_, Source>>, content: Content) -> Place {
    match content {
        Content::DATA => Place::Stored,
        Content::FILE_DATA => Place::AsFile,
        Content::PARENT if memory.is_some_and(Memory::has_parent) => Place::Stored,
        Content::PARENT => Place::Absent,
        _ => Place::Zero,
    }
}

/// `lo..hi`, cut where extents begin and end; none is what none of them covers.
fn cover(memory: Option<&Memory<'_, Source>>, lo: u64, hi: u64, page: u64) -> Vec<(u64, u64, Option<Content>)> {
    let mut parts = Vec::new();
    let mut here = lo;
    let batches = memory.map_or(&[][..], |m| m.batches());
    let first = batches.partition_point(|b| b.extents.extents.last().is_some_and(|e| e.vaddr.0 + e.pages * page <= lo));
    'all: for batch in &batches[first..] {
        let extents = &batch.extents.extents;
        let first = extents.partition_point(|e| e.vaddr.0 + e.pages * page <= here);
        for e in &extents[first..] {
            let (a, b) = (e.vaddr.0.max(here), (e.vaddr.0 + e.pages * page).min(hi));
            if a >= hi {
                break 'all;
            }
            if here < a {
                parts.push((here, a, None));
            }
            parts.push((a, b, Some(e.content)));
            here = b;
        }
    }
    if here < hi {
        parts.push((here, hi, None));
    }
    parts
}

/// Is CRYO_NO_FILES set? Then the files of this machine are left alone, and what is shown is the same everywhere.
pub fn files_are_left_alone() -> bool {
    std::env::var_os("CRYO_NO_FILES").is_some()
}

/// The file on this machine, if nothing says that it is another one.
fn same_file(o: &Object) -> Option<File> {
    if o.kind != ObjectKind::FILE || o.path.first() != Some(&b'/') || files_are_left_alone() {
        return None;
    }
    let path = PathBuf::from(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(&o.path));
    // A link is not what was mapped, and a FIFO would wait for its other end.
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = File::options().read(true).custom_flags(flags.bits() as i32).open(&path).ok()?;
    let about = file.metadata().ok()?;
    let same = about.is_file() && about.len() == o.size;
    let untouched = about.mtime() == o.mtime_sec && about.mtime_nsec() as u64 == o.mtime_nsec;
    if !same {
        return None;
    }
    if untouched
        && ((about.ino() == o.ino && about.dev() == o.dev)
            || (!o.build_id.is_empty() && build_id(&ReadCache::new(&file)).as_deref() == Some(&o.build_id[..])))
    {
        return Some(file);
    }
    // Without a digest in the image there is nothing to compare, however long the file is.
    if o.digest.0 == [0; 32] {
        return None;
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(&file).ok()?;
    (hasher.finalize().as_bytes() == &o.digest.0).then_some(file)
}

/// As many bytes as the file has; the rest of its last page is zero.
fn fill(file: &File, offset: u64, out: &mut [u8]) -> usize {
    let len = file.metadata().map_or(0, |m| m.len());
    let there = len.saturating_sub(offset).min(out.len() as u64) as usize;
    let mut done = 0;
    while done < there {
        match file.read_at(&mut out[done..there], offset + done as u64) {
            Ok(n) if n > 0 => done += n,
            _ => return done,
        }
    }
    let padding = (out.len() - there).min((4096 - (there as u64 + offset) as usize % 4096) % 4096);
    out[there..there + padding].fill(0);
    there + padding
}
