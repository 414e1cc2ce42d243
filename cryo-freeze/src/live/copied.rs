//! Pages that were copied out of a process, by their addresses.

use memmap2::{Advice, MmapMut, MmapOptions};

use crate::Result;
use crate::error::{About, RefusalKind, refuse};

/// Pages from the first address to before the second.
pub type Range = (u64, u64);

/// Room that is made at once for pages that no area has a place for.
const ROOM: usize = 16 << 20;

/// What became of a page since the set was made that is the parent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// It is not known: it was copied.
    Unknown,
    /// It was written to, and copied.
    Changed,
    /// It is as it was, and was not copied.
    Unchanged,
}

/// Memory that was copied, each byte at its address.
#[derive(Default)]
pub struct Copied {
    /// Watched mappings: what is stored of one is where it is in the mapping. Ascending.
    pub areas: Vec<Area>,
    /// All others: address, length, and where in `rooms` they are. Ascending once all are there.
    pieces: Vec<Piece>,
    rooms: Vec<MmapMut>,
    /// Bytes of the last room in use.
    used: usize,
}

struct Piece {
    start: u64,
    len: usize,
    room: usize,
    offset: usize,
}

/// A mapping that is watched, and what was copied of it.
pub struct Area {
    /// Its addresses.
    pub range: Range,
    /// As many bytes, of which only those count that were copied.
    pub pages: MmapMut,
    /// What is not as it is in the process: found at the last look, or could not be read.
    pub stale: Vec<Range>,
    /// What was written to since a set was made that has all of it; only that is copied. `None`: there is no such set.
    pub changed: Option<Vec<Range>>,
}

impl Area {
    /// One of which nothing was copied yet; `dense`: most of it will be.
    pub fn new(range: Range, dense: bool) -> Result<Self> {
        let pages = room((range.1 - range.0) as usize, dense)?;
        Ok(Self { range, pages, stale: Vec::new(), changed: None })
    }

    /// All that it has is in a set now.
    pub fn set_made(&mut self) -> Result<()> {
        *self = Self { changed: Some(Vec::new()), ..Self::new(self.range, false)? };
        Ok(())
    }

    /// These are to be copied, whether they were or not.
    pub fn copy_again(&mut self, ranges: Vec<Range>) {
        self.stale.extend(ranges);
        self.stale = cryo_format::ranges::joined(std::mem::take(&mut self.stale));
    }

    /// These are not as they are in that set.
    pub fn change(&mut self, written: &[Range]) {
        if let Some(changed) = &mut self.changed {
            changed.extend(written);
            *changed = cryo_format::ranges::joined(std::mem::take(changed));
        }
    }

    /// Where these sorted parts of it are copied to.
    pub fn places(&mut self, parts: &[Range]) -> Vec<(u64, &mut [u8])> {
        let (mut rest, mut at) = (&mut self.pages[..], self.range.0);
        let mut places = Vec::with_capacity(parts.len());
        for &(start, end) in parts {
            let (place, behind) = rest[(start - at) as usize..].split_at_mut((end - start) as usize);
            places.push((start, place));
            (rest, at) = (behind, end);
        }
        places
    }
}

impl Copied {
    /// All that there is, is in a set now.
    pub fn set_made(&mut self) -> Result<()> {
        let mut areas = std::mem::take(&mut self.areas);
        areas.iter_mut().try_for_each(Area::set_made)?;
        *self = Self { areas, ..Self::default() };
        Ok(())
    }

    /// Makes room for so many bytes outside of areas, while there is time.
    pub fn prepare(&mut self, bytes: usize) -> Result<()> {
        let mut room = room(bytes.max(ROOM), true)?;
        // Touched here: the first touch is what takes time.
        room.iter_mut().step_by(4096).for_each(|byte| *byte = 0);
        self.rooms.push(room);
        self.used = 0;
        Ok(())
    }

    /// Puts `len` bytes there that `read` brings.
    pub fn add(&mut self, start: u64, len: usize, read: impl FnOnce(&mut [u8]) -> Result<()>) -> Result<()> {
        if self.rooms.last().is_none_or(|room| room.len() - self.used < len) {
            self.rooms.push(room(len.max(ROOM), true)?);
            self.used = 0;
        }
        let number = self.rooms.len() - 1;
        read(&mut self.rooms[number][self.used..self.used + len])?;
        self.pieces.push(Piece { start, len, room: number, offset: self.used });
        self.used += len;
        Ok(())
    }

    /// All are there.
    pub fn complete(&mut self) {
        self.pieces.sort_by_key(|p| p.start);
    }

    /// Reads exactly `buf.len()` bytes at `addr`.
    pub fn read(&self, addr: u64, buf: &mut [u8]) -> Result<()> {
        let mut done = 0;
        while done < buf.len() {
            let at = addr + done as u64;
            let Some(bytes) = self.from(at) else {
                return refuse(RefusalKind::Internal, format!("memory at {at:#x} was not copied"));
            };
            let n = bytes.len().min(buf.len() - done);
            buf[done..done + n].copy_from_slice(&bytes[..n]);
            done += n;
        }
        Ok(())
    }

    /// What is known of the page at `addr`? And up to where is the answer the same?
    pub fn since(&self, addr: u64) -> (Since, u64) {
        let behind = self.areas.partition_point(|a| a.range.1 <= addr);
        let Some(area) = self.areas.get(behind) else { return (Since::Unknown, u64::MAX) };
        if addr < area.range.0 {
            return (Since::Unknown, area.range.0);
        }
        let Some(changed) = &area.changed else { return (Since::Unknown, area.range.1) };
        match changed.get(changed.partition_point(|c| c.1 <= addr)) {
            None => (Since::Unchanged, area.range.1),
            Some(next) if addr < next.0 => (Since::Unchanged, next.0),
            Some(next) => (Since::Changed, next.1),
        }
    }

    /// What is there from `addr` on, as far as it lies together.
    fn from(&self, addr: u64) -> Option<&[u8]> {
        let before = self.pieces.partition_point(|p| p.start <= addr).checked_sub(1);
        let piece = before.map(|i| &self.pieces[i]).filter(|p| addr < p.start + p.len as u64);
        if let Some(p) = piece {
            let into = (addr - p.start) as usize;
            return Some(&self.rooms[p.room][p.offset + into..p.offset + p.len]);
        }
        let before = self.areas.partition_point(|a| a.range.0 <= addr).checked_sub(1)?;
        let area = self.areas.get(before).filter(|a| addr < a.range.1)?;
        Some(&area.pages[(addr - area.range.0) as usize..])
    }
}

/// Memory of ours that costs nothing until it is touched.
fn room(len: usize, dense: bool) -> Result<MmapMut> {
    let about = || format!("making room for {len} bytes");
    let room = MmapOptions::new().len(len).no_reserve_swap().map_anon().about(about)?;
    // Where there are no huge pages, small ones do.
    let _ = room.advise(if dense { Advice::HugePage } else { Advice::NoHugePage });
    Ok(room)
}
