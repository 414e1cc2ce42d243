//! Where pages go: into the memory of a process, or into the content of an object.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use cryo_format::image::Image;
use cryo_format::section::extents::{Content, Extents};
use cryo_format::section::vmas::{Backing, VmFlags, Vma};
use cryo_tracee::hugetlb;

use super::{Filler, PAGE, Target, Turn, available, data, lacks};
use crate::Result;
use crate::error::{About, RefusalKind, refuse};
use crate::kept_pages::{Keep, Piece};
use crate::remap::{pool_lacks, pool_too_small};

static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// A filler at work.
pub(super) struct Work<'a> {
    pub filler: &'a Filler<'a>,
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

impl<'a> Work<'a> {
    /// For this turn.
    pub fn of(filler: &'a Filler<'a>, turn: Turn) -> Self {
        let vmas = filler.targets.iter().map(|target| target.vmas);
        let windows = if turn == Turn::Rest { windows(vmas) } else { HashMap::new() };
        Self { filler, windows, left: AtomicU64::new(available()), elsewhere: Mutex::default() }
    }

    /// The ranges that are with the parent, so far; none from here on.
    pub fn elsewhere(&self) -> HashMap<u64, Vec<(u64, u64)>> {
        let mut all = std::mem::take(&mut *self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner));
        for ranges in all.values_mut() {
            ranges.sort_unstable();
            // A batch that was begun anew has said so twice.
            ranges.dedup();
        }
        all
    }

    /// Fills in `part` of the extents in chunk `i` of a file, as pages of `owner`.
    pub fn stored(
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
    pub fn batch(&self, owner: u64, extents: &Extents, data: &[u8], stored: u64) -> Result<()> {
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
    pub fn place(&self, owner: u64, (start, end): (u64, u64), content: Content, bytes: Option<&[u8]>) -> Result<()> {
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
