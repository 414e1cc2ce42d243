//! `TCHD`: pages in the order in which the program touched them when it was thawed once. Owner: the process. A hint: who fills memory behind a running program
//! begins with these.

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::limits::MIN_PAGE_SHIFT;
use crate::prim::{Addr, List};
use crate::rules::{Violation, page_ranges};
use crate::section::Validate;

/// What one process touched.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Touched {
    /// The first one first. No page stands in two of them.
    pub ranges: List<TouchedRange>,
}

/// A range of pages.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TouchedRange {
    /// First address; page-aligned.
    pub start: Addr,
    /// First address behind it; page-aligned, above `start`.
    pub end: Addr,
}

impl Touched {
    /// Checks alignment for pages of `page` bytes, and that no page stands in two ranges.
    pub fn check(&self, page: u64) -> Result<(), Violation> {
        let mut sorted: Vec<_> = self.ranges.iter().map(|r| (r.start, r.end)).collect();
        sorted.sort_unstable();
        page_ranges(page, sorted)
    }
}

impl Validate for Touched {
    fn validate(&self) -> Result<(), Violation> {
        self.check(1 << MIN_PAGE_SHIFT)
    }
}
