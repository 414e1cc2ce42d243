//! `FDTB`: the table of file descriptors. Owner: the process. `FDTT`: the same of a thread that has one of its own (unshare(2), CLONE_FILES).
//!
//! A descriptor is a number that refers to an open file description; descriptions that several descriptors share have one
//! local id. What a description is stands in a section of its kind (`FILE`, `OUTS`, ...) whose owner is that id.

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::List;
use crate::rules::{Rule, Violation, ascending, ensure};
use crate::section::{Named, Section, Validate};

/// All descriptors of one process, sorted by number. Owner: the process.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Descriptors {
    /// The descriptors.
    pub descriptors: List<Descriptor>,
}

/// One descriptor.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Descriptor {
    /// Its number.
    pub fd: u32,
    /// FD_CLOEXEC is 1.
    pub flags: u32,
    /// Local id of the open file description.
    pub description: u64,
}

/// All descriptors of a thread that does not have those of its process, sorted by number. Owner: the thread.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ThreadDescriptors {
    /// Local id of the thread that made the table, if that is another one: this one has it in common with it, and the list here is empty. 0 otherwise.
    pub shared_with: u64,
    /// The descriptors.
    pub descriptors: List<Descriptor>,
}

impl Validate for Descriptors {
    fn validate(&self) -> Result<(), Violation> {
        sorted(&self.descriptors)
    }
}

impl Validate for ThreadDescriptors {
    fn validate(&self) -> Result<(), Violation> {
        ensure(
            self.shared_with == 0 || self.descriptors.is_empty(),
            Rule::RESERVED,
            || "a table that a thread has in common with another one stands there",
        )?;
        sorted(&self.descriptors)
    }

    fn names(&self) -> Vec<(Named, u64)> {
        vec![(Named::OwnerOf(Self::KIND), self.shared_with)]
    }
}

fn sorted(descriptors: &[Descriptor]) -> Result<(), Violation> {
    for d in descriptors {
        ensure(d.description != 0, Rule::DESCRIPTOR, || format!("descriptor {} refers to no description", d.fd))?;
    }
    ascending(descriptors, |d| d.fd)
        .map_err(|i| Rule::DESCRIPTOR.broken(format!("descriptor {} is out of order", descriptors[i].fd)))
}
