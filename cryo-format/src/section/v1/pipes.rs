//! `PIPE` version 1: a pipe or FIFO with the bytes in it. Owner: the pipe, by an id of its own.

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::{Blob, Bytes, List};
use crate::rules::{Rule, Violation, ensure};
use crate::section::{Validate, pipes};

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
}

impl Validate for Pipe {
    fn validate(&self) -> Result<(), Violation> {
        ensure(self.packets <= 1, Rule::VALUE, || format!("packets is {}, not 0 or 1", self.packets))
    }
}

impl From<Pipe> for pipes::Pipe {
    /// Releases that wrote version 1 did not look which FIFO it is.
    fn from(v1: Pipe) -> Self {
        Self { capacity: v1.capacity, packets: v1.packets, path: v1.path, content: v1.content, dev: 0, ino: 0 }
    }
}
