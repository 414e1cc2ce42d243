//! How many pages of what kind an owner has in the image.

use cryo_format::section::extents::{Content, Extents};

use crate::ice::Ice;

/// Numbers of pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pages {
    /// In the image, and nowhere else.
    pub stored: u64,
    /// In the image, and the mapped file has the same.
    pub file: u64,
    /// Zero.
    pub zero: u64,
}

impl Pages {
    fn add(&mut self, content: Content, pages: u64) {
        let n = match content {
            Content::DATA => &mut self.stored,
            Content::FILE_DATA => &mut self.file,
            _ => &mut self.zero,
        };
        *n = n.saturating_add(pages);
    }

    /// Adds what a batch says.
    pub fn count(&mut self, batch: &Extents) {
        batch.extents.iter().for_each(|e| self.add(e.content, e.pages));
    }

    /// The sum of both.
    #[must_use]
    pub fn plus(mut self, other: Self) -> Self {
        self.add(Content::DATA, other.stored);
        self.add(Content::FILE_DATA, other.file);
        self.add(Content::ZERO, other.zero);
        self
    }

    /// All of them.
    pub fn sum(&self) -> u64 {
        self.stored.saturating_add(self.file).saturating_add(self.zero)
    }
}

/// The pages of `owner` in each of `ranges` (start, end), which ascend, and how many lie in none of them.
pub fn by_range(ice: &Ice, owner: u64, ranges: &[(u64, u64)]) -> (Vec<Pages>, u64) {
    let page = ice.page_size();
    let mut found = vec![Pages::default(); ranges.len()];
    let mut outside = 0u64;
    // Both ascend, so one walk over both is enough, however long a hostile file makes them.
    let (mut i, mut done) = (0, 0);
    for e in ice.sections::<Extents>(owner).flat_map(|x| &x.extents) {
        let start = e.vaddr.0;
        let Some(end) = e.pages.checked_mul(page).and_then(|len| start.checked_add(len)).filter(|_| start >= done)
        else {
            outside = outside.saturating_add(e.pages);
            continue;
        };
        let mut here = start;
        while i < ranges.len() && here < end {
            let (from, to) = ranges[i];
            if from >= end {
                break;
            }
            let (a, b) = (here.max(from), end.min(to));
            if a < b {
                outside = outside.saturating_add((a - here) / page);
                found[i].add(e.content, (b - a) / page);
                here = b;
            }
            if to <= end {
                i += 1;
            }
        }
        outside = outside.saturating_add((end - here) / page);
        done = end;
    }
    (found, outside)
}
