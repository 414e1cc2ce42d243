//! Where the image has the pages that are brought later.

use std::fs::File;

use cryo_format::image::Image;
use cryo_format::section::Section;
use cryo_format::section::extents::{Content, Extents};

use super::Range;
use crate::Result;
use crate::error::{RefusalKind, refuse};
use crate::fill::{self, PAGE};

/// Batches that are kept, each of at most `limits::MAX_DATA` bytes: what is filled in order, and what is waited for besides.
const KEPT: usize = 4;

/// Pages that lie together in one batch.
struct Piece {
    start: u64,
    end: u64,
    batch: usize,
    /// Where they begin in its data.
    offset: u64,
}

/// What a process has in an image, by its addresses.
pub struct Index<'a> {
    image: &'a Image<File>,
    verify: bool,
    /// The chunk of each, and what it says.
    batches: Vec<(usize, Extents)>,
    /// Ascending.
    pieces: Vec<Piece>,
}

impl<'a> Index<'a> {
    /// That of process `id`, in these ranges.
    pub fn of(image: &'a Image<File>, id: u64, later: &[Range], verify: bool) -> Result<Self> {
        let (mut batches, mut pieces) = (Vec::new(), Vec::new());
        let mut left = fill::available();
        for (i, entry) in image.chunks().iter().enumerate().filter(|(_, e)| e.kind == Extents::KIND && e.owner == id) {
            let whole: Extents = image.section(entry)?;
            let mut bytes = 0_u64;
            for part in whole.within(later, PAGE) {
                match part.content {
                    Content::ZERO => continue,
                    content if content.is_stored() => {}
                    _ => return refuse(RefusalKind::Image, format!("extent at {}: it is not in the set", part.vaddr)),
                }
                let (len, start) = (part.pages * PAGE, part.vaddr.0);
                if part.reference.checked_add(part.pages).is_none_or(|end| end > whole.data_pages) {
                    return refuse(
                        RefusalKind::Image,
                        format!("extent at {}: its pages are not in its DATA chunk", part.vaddr),
                    );
                }
                bytes += len;
                pieces.push(Piece { start, end: start + len, batch: batches.len(), offset: part.reference * PAGE });
            }
            // What one stored page is to be at many addresses.
            let unstored = bytes.saturating_sub(whole.data_pages * PAGE);
            left = left.checked_sub(unstored).map_or_else(|| fill::lacks(unstored, left), Ok)?;
            batches.push((i, whole));
        }
        pieces.sort_by_key(|p| p.start);
        Ok(Self { image, verify, batches, pieces })
    }

    /// The image.
    pub fn image(&self) -> &'a Image<File> {
        self.image
    }

    /// All that there is, ascending.
    pub fn ranges(&self) -> impl Iterator<Item = Range> {
        self.pieces.iter().map(|p| (p.start, p.end))
    }

    /// The piece with this address: its batch, where in the data of that the address is, and how many bytes of it follow.
    fn find(&self, at: u64) -> Option<(usize, u64, u64)> {
        let i = self.pieces.partition_point(|p| p.end <= at);
        let p = self.pieces.get(i).filter(|p| p.start <= at)?;
        Some((p.batch, p.offset + (at - p.start), p.end - at))
    }
}

/// Pages as they were read last.
#[derive(Default)]
pub struct Reader {
    kept: Vec<(usize, Vec<u8>)>,
}

impl Reader {
    /// The pages from this address on, `most` bytes or fewer. Their checksum and their digest were right.
    pub fn read(&mut self, index: &Index<'_>, at: u64, most: u64) -> Result<&[u8]> {
        let Some((batch, offset, len)) = index.find(at) else {
            return refuse(RefusalKind::Internal, format!("nothing is stored for {at:#x}"));
        };
        let kept = self.kept.iter().position(|(number, _)| *number == batch);
        let (number, data) = match kept {
            Some(i) => self.kept.remove(i),
            None => {
                let mut data = if self.kept.len() < KEPT { Vec::new() } else { self.kept.remove(0).1 };
                let (chunk, whole) = &index.batches[batch];
                fill::data(index.image, *chunk, whole, index.verify, &mut data)?;
                (batch, data)
            }
        };
        self.kept.push((number, data));
        let end = offset + len.min(most);
        let data = self.kept.last().and_then(|(_, data)| data.get(offset as usize..end as usize));
        data.map_or_else(|| refuse(RefusalKind::Image, format!("the pages at {at:#x} are not in their DATA chunk")), Ok)
    }
}
