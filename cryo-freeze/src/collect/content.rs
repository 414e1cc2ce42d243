//! Where the content of memory is read from, when all else is collected.

use std::fs::File;
use std::ops::Range;

use cryo_format::section::extents::Content as Kind;

use crate::live::Still;
use crate::pages::{Run, Source};

/// Content of one owner, still to be read.
pub struct Content {
    /// Of a private mapping: the object under it, and what its addresses are above the object's offsets.
    pub(super) private: Option<(u64, i64)>,
    /// What [`PageSource::File`] means.
    pub(super) file: Option<File>,
    /// Its pages.
    pub(super) runs: Vec<Part>,
}

/// Pages that are read from one place.
pub(super) struct Part {
    /// First address, or offset.
    pub start: u64,
    /// Bytes.
    pub len: u64,
    /// What they are.
    pub kind: Kind,
    /// Where they are read.
    pub from: PageSource,
}

impl Part {
    /// First address behind it.
    pub fn end(&self) -> u64 {
        self.start + self.len
    }

    /// The part of it between two addresses that lie in it; none if there is nothing between them.
    fn between(&self, start: u64, end: u64) -> Option<Self> {
        let from = match self.from {
            PageSource::File(offset) => PageSource::File(offset + (start - self.start)),
            memory @ PageSource::Memory(..) => memory,
        };
        (start < end).then(|| Self { start, len: end - start, kind: self.kind, from })
    }

    /// What is left of it without the addresses in `shown`.
    pub fn without(self, shown: &Range<u64>) -> Vec<Self> {
        if shown.end <= self.start || self.end() <= shown.start {
            return vec![self];
        }
        let before = self.between(self.start, shown.start.max(self.start));
        let behind = self.between(shown.end.min(self.end()), self.end());
        before.into_iter().chain(behind).collect()
    }
}

/// Where pages are read.
#[derive(Clone, Copy)]
pub(super) enum PageSource {
    /// A member's memory, at `start` plus this.
    Memory(usize, i64),
    /// The file, at this offset.
    File(u64),
}

impl Content {
    /// Where its pages are.
    pub fn ranges(&self) -> impl Iterator<Item = (u64, u64)> {
        self.runs.iter().map(|p| (p.start, p.end()))
    }

    /// Where it is pages of the mapped file itself.
    pub fn of_files(&self) -> impl Iterator<Item = (u64, u64)> {
        self.runs.iter().filter(|p| p.kind == Kind::FILE_DATA).map(|p| (p.start, p.end()))
    }

    /// Leaves out what lies in these sorted ranges.
    pub fn leave_out(&mut self, ranges: &[(u64, u64)]) {
        let mut runs = Vec::with_capacity(self.runs.len());
        for part in std::mem::take(&mut self.runs) {
            let mut at = part.start;
            let from = ranges.partition_point(|r| r.1 <= part.start);
            for (start, end) in ranges[from..].iter().take_while(|r| r.0 < part.end()) {
                runs.extend(part.between(at, (*start).max(part.start)));
                at = *end;
            }
            runs.extend(part.between(at, part.end()));
        }
        self.runs = runs;
    }

    /// As runs for the writer; `memories` are the members'.
    pub fn runs<'c>(&'c self, owner: u64, memories: &[Still<'c>]) -> impl Iterator<Item = Run<'c>> {
        self.runs.iter().filter_map(move |p| {
            let source = match p.from {
                PageSource::Memory(member, shift) => Source::Memory(*memories.get(member)?, shift),
                PageSource::File(offset) => Source::File(self.file.as_ref()?, offset),
            };
            Some(Run { owner, start: p.start, len: p.len, content: p.kind, source })
        })
    }
}
