//! `OWNR`: who is told of input. Owner: the description. (F_GETOWN_EX and F_GETSIG of fcntl(2), /proc/PID/fdinfo)

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::rules::{Rule, Violation, ensure};
use crate::section::process::Process;
use crate::section::thread::Thread;
use crate::section::{Named, Section, Validate};

/// An owner.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Owner {
    /// See below.
    pub kind: u32,
    /// F_GETSIG: 0 for SIGIO.
    pub signal: u32,
    /// Local id of the process or thread for PROCESS and THREAD; the number for a group.
    pub owner: u64,
    /// 1 with O_ASYNC, otherwise 0.
    pub asynchronous: u32,
    /// Must be zero.
    pub reserved: u32,
}

/// [`Owner::kind`]: nobody.
pub const NOBODY: u32 = 0;
/// [`Owner::kind`]: F_OWNER_PID.
pub const PROCESS: u32 = 1;
/// [`Owner::kind`]: F_OWNER_TID.
pub const THREAD: u32 = 2;
/// [`Owner::kind`]: F_OWNER_PGRP, a process group of the image; with the number 0 that of the process which has the descriptor.
pub const OWN_GROUP: u32 = 3;
/// [`Owner::kind`]: somebody who is not in the image.
pub const OUTSIDE: u32 = 4;

impl Validate for Owner {
    fn validate(&self) -> Result<(), Violation> {
        ensure(self.reserved == 0, Rule::RESERVED, || "the reserved field is not zero")?;
        ensure(self.kind <= OUTSIDE && self.asynchronous <= 1, Rule::VALUE, || {
            format!("kind {} of owner, O_ASYNC {}", self.kind, self.asynchronous)
        })?;
        ensure(self.signal <= 64, Rule::SIGNAL, || format!("signal {} tells of input", self.signal))
    }

    fn names(&self) -> Vec<(Named, u64)> {
        match self.kind {
            PROCESS => vec![(Named::OwnerOf(Process::KIND), self.owner)],
            THREAD => vec![(Named::OwnerOf(Thread::KIND), self.owner)],
            _ => Vec::new(),
        }
    }
}
