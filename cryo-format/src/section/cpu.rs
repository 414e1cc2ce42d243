//! `CPU `: what the processor must have before a host is started. It stands in the .frore so that a pipe is refused early.

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::{Addr, Bytes, List};
use crate::rules::{Rule, Violation, ascending, ensure};
use crate::section::Validate;

/// The processor that the process ran on.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Cpu {
    /// Vendor and brand, for people.
    pub brand: Bytes,
    /// XCR0: the extended-state components that the system enables.
    pub xcr0: Addr,
    /// Components that some thread of the set has in use (union of XSTATE_BV). The thawer refuses a CPU that lacks one.
    pub in_use: Addr,
    /// Instruction-set features by the names of /proc/cpuinfo, sorted: programs choose code by them at start and keep the choice.
    pub features: List<Bytes>,
}

impl Validate for Cpu {
    fn validate(&self) -> Result<(), Violation> {
        ascending(&self.features, Clone::clone)
            .map_err(|i| Rule::SORTED.broken(format!("feature {i} is out of order")))?;
        let beyond = self.in_use.0 & !self.xcr0.0 & !0b11;
        ensure(beyond == 0, Rule::XSTATE, || format!("components {beyond:#x} are in use that xcr0 does not have"))
    }
}
