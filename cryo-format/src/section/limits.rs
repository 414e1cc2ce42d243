//! `LIMT`: resource limits. Owner: the process. (getrlimit(2))

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::List;
use crate::rules::{Rule, Violation, ascending, ensure};
use crate::section::Validate;

/// The limits of one process.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Limits {
    /// Sorted by resource.
    pub limits: List<Limit>,
}

/// One limit.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Limit {
    /// RLIMIT_*.
    pub resource: u32,
    /// Must be zero.
    pub reserved: u32,
    /// What holds; 2^64-1 is RLIM_INFINITY.
    pub soft: u64,
    /// What the process may raise it to.
    pub hard: u64,
}

impl Validate for Limits {
    fn validate(&self) -> Result<(), Violation> {
        for l in &self.limits {
            ensure(l.reserved == 0, Rule::RESERVED, || format!("reserved field of limit {} is not zero", l.resource))?;
        }
        ascending(&self.limits, |l| l.resource).map_err(|i| Rule::SORTED.broken(format!("limit {i} is out of order")))
    }
}
