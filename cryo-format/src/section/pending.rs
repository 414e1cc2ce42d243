//! `SIGP`: signals sent and not yet delivered. Owner: a process (shared) or a thread (its own). (ptrace(2) PTRACE_PEEKSIGINFO)

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::{Blob, List};
use crate::rules::{Rule, Violation, ensure};
use crate::section::Validate;

/// Pending signals in the order of their arrival.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Pending {
    /// Each the kernel's siginfo_t, 128 bytes.
    pub signals: List<Blob>,
}

/// Length of siginfo_t.
pub const SIGINFO_LEN: usize = 128;

impl Validate for Pending {
    fn validate(&self) -> Result<(), Violation> {
        for (i, s) in self.signals.iter().enumerate() {
            ensure(s.len() == SIGINFO_LEN, Rule::SIGINFO, || {
                format!("signal {i} has {} bytes instead of 128", s.len())
            })?;
        }
        Ok(())
    }
}
