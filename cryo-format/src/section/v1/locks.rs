//! `LOCK` version 1: locks and a lease. Owner: the description. (/proc/PID/fdinfo, F_GETLEASE of fcntl(2))

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::List;
use crate::rules::{Rule, Violation, ensure};
use crate::section::{Validate, locks};

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
}

impl Validate for Locks {
    fn validate(&self) -> Result<(), Violation> {
        ensure(self.reserved == 0, Rule::RESERVED, || "the reserved field is not zero")
    }
}

impl From<Locks> for locks::Locks {
    /// Releases that wrote version 1 froze one process.
    fn from(v1: Locks) -> Self {
        let lock = |l: Lock| locks::Lock { kind: l.kind, write: l.write, start: l.start, end: l.end, process: 0 };
        Self { lease: v1.lease, reserved: v1.reserved, locks: v1.locks.0.into_iter().map(lock).collect() }
    }
}
