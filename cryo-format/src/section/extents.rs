//! `EXTS`: which pages the `DATA` chunk behind it holds, and which are zero or elsewhere. Owner: a process, or an object.
//!
//! Over all `EXTS` chunks of one owner the extents ascend and do not overlap. Memory that no extent covers has the content of what
//! is mapped there: zero for anonymous memory, the file's bytes for a file.

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::{Addr, List, Raw};

/// One batch of extents.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
#[serde(transparent)]
pub struct Content(pub u32);

impl Content {
    /// All bytes zero; nothing stored.
    pub const ZERO: Self = Self(0);
    /// In the `DATA` chunk.
    pub const DATA: Self = Self(1);
    /// In the `DATA` chunk, and equal to the mapped file's own bytes: where the identical file is present it need not be copied.
    pub const FILE_DATA: Self = Self(2);
}
