//! `GARD`: guards inside mappings, at which touching them is SIGSEGV although their mapping allows it. Owner: the process.
//! (madvise(2), MADV_GUARD_INSTALL)

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::{Addr, List};
use crate::rules::{Violation, page_ranges};
use crate::section::Validate;

/// All guards of one process, sorted by start, without overlap.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guards {
    /// The guards.
    pub guards: List<Guard>,
}

/// One range of guarded pages.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guard {
    /// First address; page-aligned.
    pub start: Addr,
    /// First address behind it; page-aligned, above `start`.
    pub end: Addr,
}

impl Validate for Guards {
    fn validate(&self) -> Result<(), Violation> {
        page_ranges(self.guards.iter().map(|g| (g.start, g.end)))
    }
}
