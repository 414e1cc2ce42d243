//! `HIST`: what an overseer has seen of a process, which the kernel forgets. Ancillary. Owner: the process.

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::{Bytes, List};
use crate::rules::{Rule, Violation, ascending};
use crate::section::Validate;

/// What was seen of one process, and how that compares with the kernel's own tables.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct History {
    /// Its open descriptors, sorted by number.
    pub descriptors: List<Made>,
    /// How many things were compared with the kernel's tables when it was frozen: open descriptors, and signals.
    pub compared: u64,
    /// What differs.
    pub differences: List<Difference>,
}

/// How a descriptor came about.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Made {
    /// Its number.
    pub fd: u32,
    /// Mode of the open(2) that might make the file; 0 for others.
    pub mode: u32,
    /// Its place in the order in which the family made them, from 1 on; 0 for those that it was started with.
    pub order: u64,
    /// Flags of the open(2); 0 if it was not opened.
    pub flags: u64,
    /// The descriptor that it was duplicated or accepted from; -1 if neither.
    pub source: i64,
    /// What it is: `file`, `pipe`, `socket`, `eventfd`, ...
    pub kind: Bytes,
    /// The path by which it was opened, as the program gave it; empty if it was not.
    pub path: Bytes,
    /// The same from the root, with links and `..` as they were; empty if not known.
    pub absolute: Bytes,
    /// Names that the family has given the file since, from the root, the last one last.
    pub names: List<Bytes>,
}

/// A difference between the overseer's view and the kernel's.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Difference {
    /// What it is about: `fd 7`, `signal 15`.
    pub object: Bytes,
    /// What the overseer has seen, and what there is.
    pub text: Bytes,
}

impl Validate for History {
    fn validate(&self) -> Result<(), Violation> {
        let sorted = ascending(&self.descriptors, |d| d.fd);
        sorted.map_err(|i| Rule::SORTED.broken(format!("descriptor {i} is out of order")))
    }
}
