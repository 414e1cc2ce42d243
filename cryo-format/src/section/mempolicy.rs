//! `MPOL` and `MBND`: from which nodes of the machine memory comes, for a thread and for ranges. (set_mempolicy(2), mbind(2))

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::limits::MIN_PAGE_SHIFT;
use crate::prim::{Addr, Blob, List};
use crate::rules::{Violation, page_ranges};
use crate::section::Validate;

/// The policy of one thread. Owner: the thread; there is none for one with the default policy.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Mempolicy {
    /// MPOL_DEFAULT 0, PREFERRED 1, BIND 2, INTERLEAVE 3, LOCAL 4, PREFERRED_MANY 5, WEIGHTED_INTERLEAVE 6.
    pub mode: u32,
    /// MPOL_F_NUMA_BALANCING 0x2000, RELATIVE_NODES 0x4000, STATIC_NODES 0x8000.
    pub flags: u32,
    /// The nodes, bit n%8 of byte n/8 for node n, without trailing zeros.
    pub nodes: Blob,
}

/// All ranges of one process that have a policy of their own, sorted by start, without overlap. Owner: the process.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Mbind {
    /// The ranges.
    pub ranges: List<BoundRange>,
}

/// A range of addresses with a policy of its own. In shared memory it is a policy of the memory, whoever maps it.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BoundRange {
    /// First address; page-aligned.
    pub start: Addr,
    /// First address behind it; page-aligned, above `start`.
    pub end: Addr,
    /// As in [`Mempolicy`].
    pub mode: u32,
    /// As in [`Mempolicy`].
    pub flags: u32,
    /// As in [`Mempolicy`].
    pub nodes: Blob,
}

impl Validate for Mempolicy {}

impl Mbind {
    /// Checks order and alignment for pages of `page` bytes.
    pub fn check(&self, page: u64) -> Result<(), Violation> {
        page_ranges(page, self.ranges.iter().map(|r| (r.start, r.end)))
    }
}

impl Validate for Mbind {
    fn validate(&self) -> Result<(), Violation> {
        self.check(1 << MIN_PAGE_SHIFT)
    }
}
