//! `EVFD`: an event counter. Owner: the description. (eventfd(2), /proc/PID/fdinfo)

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::Addr;
use crate::rules::{Rule, Violation, ensure};
use crate::section::Validate;

/// A counter.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Eventfd {
    /// open(2) flags as /proc/PID/fdinfo shows them, without O_CLOEXEC.
    pub open_flags: Addr,
    /// What it has counted.
    pub count: u64,
    /// 1 if a read takes one (EFD_SEMAPHORE), 0 if it takes all.
    pub semaphore: u32,
    /// Must be zero.
    pub reserved: u32,
}

impl Validate for Eventfd {
    fn validate(&self) -> Result<(), Violation> {
        ensure(self.reserved == 0, Rule::RESERVED, || "the reserved field is not zero")
    }
}
