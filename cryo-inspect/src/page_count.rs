//! How many pages of what kind an owner has in the image.

use cryo_format::section::extents::{Content, Extents};

/// Numbers of pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageCount {
    /// In the image, and nowhere else.
    pub stored: u64,
    /// In the image, and the mapped file has the same.
    pub file: u64,
    /// Zero.
    pub zero: u64,
    /// With the parent set.
    pub parent: u64,
}

impl PageCount {
    /// Adds so many pages of a kind.
    pub fn add(&mut self, content: Content, pages: u64) {
        let n = match content {
            Content::DATA => &mut self.stored,
            Content::FILE_DATA => &mut self.file,
            Content::PARENT => &mut self.parent,
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
        self.add(Content::PARENT, other.parent);
        self
    }

    /// All of them.
    pub fn sum(&self) -> u64 {
        self.stored.saturating_add(self.file).saturating_add(self.zero).saturating_add(self.parent)
    }
}
