//! `SIGP`: signals sent and not yet delivered. Owner: a process (shared) or a thread (its own). (ptrace(2) PTRACE_PEEKSIGINFO)

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::{Blob, List};

/// Pending signals in the order of their arrival.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Each the kernel's siginfo_t, 128 bytes.
    pub signals: List<Blob>,
}
