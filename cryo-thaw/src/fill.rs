//! Pages into the host.
//!
//! From a file two workers fill different batches at once: first touch of memory is what takes time, and the kernel does it for both in parallel.
//! Each batch goes through one buffer that fits the cache, so that its checksum is right before a byte of it reaches the host.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::sync::atomic::{AtomicUsize, Ordering};

use cryo_format::image::Image;
use cryo_format::index::IndexEntry;
use cryo_format::read::Stream;
use cryo_format::section::Section;
use cryo_format::section::extents::{Content, Extents};
use cryo_format::section::objects::{Object, ObjectKind};
use cryo_format::section::vmas::{Backing, VmFlags, Vma};
use cryo_format::{Kind, limits};
use cryo_tracee::{Host, Memory};

use crate::Result;
use crate::error::{About, refuse};
use crate::ice::Pages;
use crate::remap::{Shape, pool_too_small};

const PAGE: u64 = 4096;
const WORKERS: usize = 2;

/// Where pages go.
pub struct Filler<'a> {
    /// Local id of the process.
    pub process: u64,
    /// Its memory.
    pub memory: &'a Memory,
    /// Its mappings.
    pub vmas: &'a [Vma],
    /// What became of them.
    pub shape: &'a Shape,
    /// Objects with content of their own: deleted files, as descriptors of ours.
    pub files: &'a HashMap<u64, File>,
}

/// Fills everything. When it returns, every checksum was right.
pub fn fill(pages: Pages, filler: &Filler<'_>) -> Result<()> {
    match pages {
        Pages::File(image) => from_file(&image, filler),
        Pages::Pipe(stream, first) => from_pipe(*stream, first, filler),
    }
}

fn from_file(image: &Image<File>, filler: &Filler<'_>) -> Result<()> {
    let chunks = image.chunks();
    let batches: Vec<usize> = (0..chunks.len()).filter(|i| chunks[*i].kind == Extents::KIND).collect();
    let next = AtomicUsize::new(0);
    let work = || -> Result<()> {
        let mut buf = Vec::new();
        while let Some(i) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
            let entry = &chunks[*i];
            let extents: Extents = image.section(entry)?;
            let data = following(&extents, entry, chunks.get(i + 1))?;
            buf.resize(data.map_or(0, |d| d.stored as usize), 0);
            if let Some(d) = data {
                image.data(d, &mut buf)?;
            }
            filler.batch(entry.owner, &extents, &buf)?;
        }
        Ok(())
    };
    if batches.len() < 8 {
        return work();
    }
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        let mut result = Ok(());
        for w in workers {
            let done = w.join().unwrap_or_else(|_| refuse("a filling thread failed"));
            if let Err(e) = done {
                // The others find nothing left to do.
                next.store(batches.len(), Ordering::Relaxed);
                result = result.and(Err(e));
            }
        }
        result
    })
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
            && d.stored == extents.data_pages * PAGE
            && d.stored <= limits::MAX_DATA
    }) {
        Some(d) => Ok(Some(d)),
        None => refuse(format!(
            "chunk EXTS at offset {:#x} announces {} pages, and no such DATA follows",
            entry.offset, extents.data_pages
        )),
    }
}

fn from_pipe(mut stream: Stream<Box<dyn Read>>, first: Option<(u64, Extents)>, filler: &Filler<'_>) -> Result<()> {
    let mut buf = Vec::new();
    let mut waiting = first;
    if let Some((owner, extents)) = waiting.take_if(|(_, e)| e.data_pages == 0) {
        filler.batch(owner, &extents, &[])?;
    }
    while let Some(mut chunk) = stream.next()? {
        if chunk.kind() == Extents::KIND {
            let (owner, extents) = (chunk.owner(), chunk.section::<Extents>()?);
            if extents.data_pages == 0 {
                filler.batch(owner, &extents, &[])?;
            } else {
                waiting = Some((owner, extents));
            }
        } else if chunk.kind() == Kind::DATA {
            let Some((owner, extents)) = waiting.take() else { return refuse("a DATA chunk without its EXTS") };
            chunk.data(&mut buf)?;
            filler.batch(owner, &extents, &buf)?;
        }
    }
    Ok(())
}

impl Filler<'_> {
    fn batch(&self, owner: u64, extents: &Extents, data: &[u8]) -> Result<()> {
        for e in &extents.extents {
            let end = e.pages.checked_mul(PAGE).and_then(|len| e.vaddr.0.checked_add(len));
            let Some(end) = end else { return refuse(format!("extent at {}: it ends beyond all addresses", e.vaddr)) };
            let bytes = match e.content {
                Content::ZERO => None,
                Content::DATA | Content::FILE_DATA => {
                    let from = e.reference.checked_mul(PAGE).map(|f| f as usize);
                    let part = from.and_then(|f| data.get(f..f.checked_add((end - e.vaddr.0) as usize)?));
                    match part {
                        Some(b) => Some(b),
                        None => return refuse(format!("extent at {}: its pages are not in its DATA chunk", e.vaddr)),
                    }
                }
                other => {
                    return refuse(format!("extent at {}: content {} is unknown to this release", e.vaddr, other.0));
                }
            };
            if owner == self.process {
                self.memory(e.vaddr.0, end, e.content, bytes)?;
            } else {
                self.object(owner, e.vaddr.0, bytes)?;
            }
        }
        Ok(())
    }

    /// Into the host's memory; an extent may run over several mappings.
    fn memory(&self, start: u64, end: u64, content: Content, bytes: Option<&[u8]>) -> Result<()> {
        let mut at = start;
        while at < end {
            let i = self.vmas.partition_point(|v| v.end.0 <= at);
            let Some(vma) = self.vmas.get(i).filter(|v| v.start.0 <= at) else {
                return refuse(format!("the image has pages at {at:#x}, where nothing is mapped"));
            };
            let to = end.min(vma.end.0);
            let part = bytes.map(|b| &b[(at - start) as usize..(to - start) as usize]);
            self.piece(vma, at, to, content, part)?;
            at = to;
        }
        Ok(())
    }

    fn piece(&self, vma: &Vma, at: u64, to: u64, content: Content, bytes: Option<&[u8]>) -> Result<()> {
        let original = self.shape.identical.contains(&vma.object);
        match vma.backing {
            Backing::SPECIAL if self.shape.vdso.is_none() => return Ok(()),
            _ if content == Content::FILE_DATA && original => return Ok(()),
            _ => {}
        }
        let zeros;
        let bytes = match bytes {
            Some(b) => b,
            // Fresh memory is zero; a private page over a file must be made so.
            None if vma.backing != Backing::PRIVATE_FILE || !original => return Ok(()),
            None => {
                zeros = vec![0; (to - at) as usize];
                &zeros
            }
        };
        self.put(vma, at, bytes)
    }

    /// Into an object's own content.
    fn object(&self, owner: u64, offset: u64, bytes: Option<&[u8]>) -> Result<()> {
        let Some(bytes) = bytes else { return Ok(()) };
        if let Some(file) = self.files.get(&owner) {
            return file.write_all_at(bytes, offset).about(|| format!("bringing back the content of object {owner}"));
        }
        // Shared memory: through its mappings, which may each show a part of it.
        let mut done = 0;
        while done < bytes.len() {
            let at = offset + done as u64;
            let shows = |v: &&Vma| {
                v.object == owner
                    && v.backing == Backing::SHARED
                    && (v.offset..v.offset.saturating_add(v.end.0 - v.start.0)).contains(&at)
            };
            let Some(vma) = self.vmas.iter().find(shows) else {
                return refuse(format!("the image has content for object {owner} at {at:#x}, where nothing is mapped"));
            };
            let vaddr = vma.start.0 + (at - vma.offset);
            let n = (vma.end.0 - vaddr).min((bytes.len() - done) as u64) as usize;
            touched(vma, self.memory.fill(vaddr, &bytes[done..done + n]))?;
            done += n;
        }
        Ok(())
    }

    fn put(&self, vma: &Vma, at: u64, bytes: &[u8]) -> Result<()> {
        // The slower way goes through any protection.
        let writable = vma.prot & libc::PROT_WRITE as u32 != 0;
        touched(vma, if writable { self.memory.fill(at, bytes) } else { self.memory.write(at, bytes) })
    }
}

fn touched(vma: &Vma, result: cryo_tracee::Result<()>) -> Result<()> {
    match result {
        Err(_) if vma.flags.has(VmFlags::HUGETLB) => refuse(pool_too_small(vma)),
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
