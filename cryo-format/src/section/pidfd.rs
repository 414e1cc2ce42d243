//! `PIDF` and `PIDD`: a process as a file, and one that has ended. Owner: the description. (pidfd_open(2), /proc/PID/fdinfo)

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::Addr;
use crate::section::process::Process;
use crate::section::{Named, Section, Validate};

/// A process.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Pidfd {
    /// open(2) flags as /proc/PID/fdinfo shows them, without O_CLOEXEC; O_EXCL is PIDFD_THREAD.
    pub open_flags: Addr,
    /// Local id of the process.
    pub process: u64,
}

/// A process that has ended.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeadPidfd {
    /// As above.
    pub open_flags: Addr,
    /// The pid of the zombie, which stands in `FMLY`; 0 if somebody has waited for it already.
    pub pid: u64,
}

impl Validate for Pidfd {
    fn names(&self) -> Vec<(Named, u64)> {
        vec![(Named::OwnerOf(Process::KIND), self.process)]
    }
}

impl Validate for DeadPidfd {}
