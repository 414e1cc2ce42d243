//! `FDTB`: the table of file descriptors. Owner: the process.
//!
//! A descriptor is a number that refers to an open file description; descriptions that several descriptors share have one
//! local id. What a description is stands in a section of its kind (`FILE`, `OUTS`, ...) whose owner is that id.

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::List;
use crate::rules::{Rule, Violation, ascending, ensure};
use crate::section::Validate;

/// All descriptors of one process, sorted by number.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Descriptors {
    /// The descriptors.
    pub descriptors: List<Descriptor>,
}

/// One descriptor.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Descriptor {
    /// Its number.
    pub fd: u32,
    /// FD_CLOEXEC is 1.
    pub flags: u32,
    /// Local id of the open file description.
    pub description: u64,
}

impl Validate for Descriptors {
    fn validate(&self) -> Result<(), Violation> {
        for d in &self.descriptors {
            ensure(d.description != 0, Rule::DESCRIPTOR, || format!("descriptor {} refers to no description", d.fd))?;
        }
        ascending(&self.descriptors, |d| d.fd)
            .map_err(|i| Rule::DESCRIPTOR.broken(format!("descriptor {} is out of order", self.descriptors[i].fd)))
    }
}
