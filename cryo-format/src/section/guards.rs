//! `GARD`: guards inside mappings, at which touching them is SIGSEGV although their mapping allows it. Owner: the process.
//! (madvise(2), MADV_GUARD_INSTALL)

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::limits::MIN_PAGE_SHIFT;
use crate::prim::{Addr, List};
use crate::rules::{Rule, Violation, ensure};
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
        let mut end = 0;
        for g in &self.guards {
            let range = || format!("{}-{}", g.start, g.end);
            ensure((g.start.0 | g.end.0) % (1 << MIN_PAGE_SHIFT) == 0, Rule::VMA_ALIGN, || {
                format!("{} is not page-aligned", range())
            })?;
            ensure(g.start < g.end && g.start.0 >= end, Rule::VMA_ORDER, || {
                format!("{} is empty, or begins before {end:#x}", range())
            })?;
            end = g.end.0;
        }
        Ok(())
    }
}
