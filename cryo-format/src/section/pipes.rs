//! `PIPE` and `PEND`: a pipe or FIFO with the bytes in it, and its ends. Owner: the pipe, by an id of its own; an end's description.

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::{Addr, Blob, Bytes, List};
use crate::rules::{Rule, Violation, ensure};
use crate::section::{Named, Section, Validate};

/// A pipe or FIFO.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Pipe {
    /// Bytes that it can hold (F_GETPIPE_SZ).
    pub capacity: u32,
    /// 1 if `content` was written in packet mode (O_DIRECT): then one entry is one read(2); otherwise 0.
    pub packets: u32,
    /// Path of a FIFO; empty for a pipe, and for a FIFO whose name is gone.
    pub path: Bytes,
    /// The bytes in it, oldest first.
    pub content: List<Blob>,
    /// st_dev of a FIFO that has a path.
    pub dev: u64,
    /// Its st_ino; 0 if it has no path, or if unknown.
    pub ino: u64,
}

/// An end.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PipeEnd {
    /// Local id of the pipe: the owner of its `PIPE`.
    pub pipe: u64,
    /// open(2) flags as /proc/PID/fdinfo shows them, without O_CLOEXEC: O_RDONLY reads, O_WRONLY writes, O_RDWR does both.
    pub open_flags: Addr,
}

impl Validate for Pipe {
    fn validate(&self) -> Result<(), Violation> {
        ensure(self.packets <= 1, Rule::VALUE, || format!("packets is {}, not 0 or 1", self.packets))
    }
}

impl Validate for PipeEnd {
    fn names(&self) -> Vec<(Named, u64)> {
        vec![(Named::OwnerOf(Pipe::KIND), self.pipe)]
    }
}
