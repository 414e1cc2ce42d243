//! `GARD`: guards inside mappings, at which touching them is SIGSEGV although their mapping allows it. Owner: the process.
//! (madvise(2), MADV_GUARD_INSTALL)

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::limits::MIN_PAGE_SHIFT;
use crate::prim::{Addr, List};
use crate::rules::{Violation, page_ranges};
use crate::section::Validate;

/// All guards of one process, sorted by start, without overlap.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Guards {
    /// The guards.
    pub guards: List<Guard>,
}

/// One range of guarded pages.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Guard {
    /// First address; page-aligned.
    pub start: Addr,
    /// First address behind it; page-aligned, above `start`.
    pub end: Addr,
}

impl Guards {
    /// Checks order and alignment for pages of `page` bytes.
    pub fn check(&self, page: u64) -> Result<(), Violation> {
        page_ranges(page, self.guards.iter().map(|r| (r.start, r.end)))
    }
}

impl Validate for Guards {
    fn validate(&self) -> Result<(), Violation> {
        self.check(1 << MIN_PAGE_SHIFT)
    }
}
