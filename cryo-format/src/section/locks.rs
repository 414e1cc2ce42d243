//! `LOCK`: locks and a lease. Owner: the description. (/proc/PID/fdinfo, F_GETLEASE of fcntl(2))

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::List;
use crate::rules::{Rule, Violation, ensure};
use crate::section::{Named, Validate};

/// Locks on a file.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Locks {
    /// F_RDLCK 0, F_WRLCK 1, F_UNLCK 2: none.
    pub lease: u32,
    /// Must be zero.
    pub reserved: u32,
    /// The locks.
    pub locks: List<Lock>,
}

/// A lock.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Lock {
    /// See below.
    pub kind: u32,
    /// 1 if it excludes everybody (F_WRLCK, LOCK_EX), 0 if only writers.
    pub write: u32,
    /// First byte.
    pub start: u64,
    /// Last byte; 2^63 - 1 to the end of the file, wherever that is.
    pub end: u64,
    /// Of a POSIX lock the local id of the process that has it, or of the thread that has a table of descriptors of its own; 0 of others, and where that is not known: whichever has the description.
    pub process: u64,
}

/// [`Lock::kind`]: F_SETLK, of the process.
pub const POSIX: u32 = 0;
/// [`Lock::kind`]: F_OFD_SETLK, of the description.
pub const OFD: u32 = 1;
/// [`Lock::kind`]: flock(2), of the description; the whole file.
pub const FLOCK: u32 = 2;

impl Validate for Locks {
    fn validate(&self) -> Result<(), Violation> {
        ensure(self.reserved == 0, Rule::RESERVED, || "the reserved field is not zero")
    }

    fn names(&self) -> Vec<(Named, u64)> {
        self.locks.iter().map(|l| (Named::Table, l.process)).collect()
    }
}
