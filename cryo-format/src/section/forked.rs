//! `FORK`: pages that a process still shares with its parent, as fork(2) left them. Owner: the process.
//!
//! They are stored once, with the parent: in these ranges the process has the parent's bytes at the same addresses. Its own `EXTS` cover none of them.

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::limits::MIN_PAGE_SHIFT;
use crate::prim::{Addr, List};
use crate::rules::{Rule, Violation, ensure, page_ranges};
use crate::section::process::Process;
use crate::section::{Named, Section, Validate};

/// What a process has of its parent.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Forked {
    /// Local id of the parent. Its pages come before those of this process.
    pub parent: u64,
    /// The ranges, sorted by start, without overlap.
    pub ranges: List<ForkedRange>,
}

/// A range of pages.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ForkedRange {
    /// First address; page-aligned.
    pub start: Addr,
    /// First address behind it; page-aligned, above `start`.
    pub end: Addr,
}

impl Forked {
    /// Checks order and alignment for pages of `page` bytes.
    pub fn check(&self, page: u64) -> Result<(), Violation> {
        page_ranges(page, self.ranges.iter().map(|r| (r.start, r.end)))
    }
}

impl Validate for Forked {
    fn validate(&self) -> Result<(), Violation> {
        ensure(self.parent != 0, Rule::VALUE, || "pages of a parent, and no parent")?;
        self.check(1 << MIN_PAGE_SHIFT)
    }

    fn names(&self) -> Vec<(Named, u64)> {
        vec![(Named::OwnerOf(Process::KIND), self.parent)]
    }
}
