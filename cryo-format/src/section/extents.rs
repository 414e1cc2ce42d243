//! `EXTS`: which pages the `DATA` chunk behind it holds, and which are zero or elsewhere. Owner: a process, or an object.
//!
//! Over all `EXTS` chunks of one owner the extents ascend and do not overlap. Memory that no extent covers has the content of what
//! is mapped there: zero for anonymous memory, the file's bytes for a file.

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::limits::{MAX_DATA, MIN_PAGE_SHIFT};
use crate::prim::{Addr, List, Raw};
use crate::rules::{Rule, Violation, ensure};
use crate::section::Validate;

/// One batch of extents.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Extents {
    /// BLAKE3 of the payload of the `DATA` chunk that follows; zero if digests were switched off or no `DATA` follows.
    pub digest: Raw<32>,
    /// Pages in that chunk: 0 if none follows.
    pub data_pages: u64,
    /// The extents.
    pub extents: List<Extent>,
}

/// A run of pages with one kind of content.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Extent {
    /// Address (in an object: byte offset) of the first page.
    pub vaddr: Addr,
    /// Number of pages; not 0.
    pub pages: u64,
    /// One of the constants of [`Content`].
    pub content: Content,
    /// Must be zero.
    pub reserved: u32,
    /// For DATA and FILE_DATA: index of the first page within the `DATA` chunk that follows. Otherwise 0.
    pub reference: u64,
}

/// Where the content of an extent is.
#[binrw]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Content(pub u32);

impl Content {
    /// All bytes zero; nothing stored.
    pub const ZERO: Self = Self(0);
    /// In the `DATA` chunk.
    pub const DATA: Self = Self(1);
    /// In the `DATA` chunk, and equal to the mapped file's own bytes: where the identical file is present it need not be copied.
    pub const FILE_DATA: Self = Self(2);
    /// With the parent (`PRNT`): what its extents say of the same pages.
    pub const PARENT: Self = Self(3);

    /// Is it in the `DATA` chunk?
    pub fn is_stored(self) -> bool {
        matches!(self, Self::DATA | Self::FILE_DATA)
    }
}

impl Extents {
    /// Checks the extents on their own and against the page size; `after` is the end of the owner's extents before these.
    /// Gives the end of the last one.
    pub fn check(&self, page: u64, after: u64) -> Result<u64, Violation> {
        let limit = MAX_DATA / page;
        ensure(self.data_pages <= limit, Rule::CHUNK_LIMIT, || {
            format!("{} pages of data are above the limit of {limit}", self.data_pages)
        })?;
        ensure(self.data_pages > 0 || self.digest == Raw::default(), Rule::DIGEST, || "a digest, but no data")?;
        let mut end = after;
        for e in &self.extents {
            let at = e.vaddr;
            ensure(e.reserved == 0, Rule::RESERVED, || format!("reserved field of the extent at {at} is not zero"))?;
            ensure(at.0 % page == 0, Rule::EXTENT_ALIGN, || format!("the extent at {at} begins inside a page"))?;
            ensure(e.pages > 0, Rule::EXTENT_ORDER, || format!("the extent at {at} is empty"))?;
            ensure(at.0 >= end, Rule::EXTENT_ORDER, || {
                format!("the extent at {at} begins before {end:#x}, where the last one ends")
            })?;
            let bytes = e.pages.checked_mul(page).and_then(|len| at.0.checked_add(len));
            end = bytes.ok_or_else(|| Rule::EXTENT_ORDER.broken(format!("the extent at {at} wraps around")))?;
            match e.content {
                Content::DATA | Content::FILE_DATA => {
                    let last = e.reference.checked_add(e.pages);
                    ensure(last.is_some_and(|last| last <= self.data_pages), Rule::EXTENT_REFERENCE, || {
                        format!("the extent at {at} refers to pages {}+{} of {}", e.reference, e.pages, self.data_pages)
                    })?;
                }
                Content::ZERO | Content::PARENT => ensure(e.reference == 0, Rule::EXTENT_REFERENCE, || {
                    format!("the extent at {at}, of which nothing is stored here, refers to page {}", e.reference)
                })?,
                Content(other) => {
                    return Err(Rule::VALUE.broken(format!("the extent at {at} has unknown content {other}")));
                }
            }
        }
        Ok(end)
    }

    /// The parts of the extents that lie in these ranges (first address, first behind), which ascend.
    pub fn within(&self, ranges: &[(u64, u64)], page: u64) -> Vec<Extent> {
        let mut parts = Vec::new();
        for e in &self.extents {
            let end = e.vaddr.0.saturating_add(e.pages.saturating_mul(page));
            let first = ranges.partition_point(|r| r.1 <= e.vaddr.0);
            for (lo, hi) in ranges[first..].iter().take_while(|r| r.0 < end) {
                let (start, end) = (e.vaddr.0.max(*lo), end.min(*hi));
                let into = if e.content.is_stored() { (start - e.vaddr.0) / page } else { 0 };
                let pages = end.saturating_sub(start) / page;
                if pages > 0 {
                    parts.push(Extent { vaddr: Addr(start), pages, reference: e.reference + into, ..e.clone() });
                }
            }
        }
        parts
    }
}

impl Validate for Extents {
    fn validate(&self) -> Result<(), Violation> {
        self.check(1 << MIN_PAGE_SHIFT, 0).map(drop)
    }
}
