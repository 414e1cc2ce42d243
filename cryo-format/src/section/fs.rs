//! `FS  `: the working directory, root and umask of a thread that does not have those of its process (unshare(2), CLONE_FS). Owner: the thread.

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::Bytes;
use crate::rules::{Rule, Violation, ensure};
use crate::section::{Named, Section, Validate};

/// Where a thread is.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Fs {
    /// Local id of the thread that made them, if that is another one: this one has them in common with it, and all else here is empty. 0 otherwise.
    pub shared_with: u64,
    /// umask(2).
    pub umask: u32,
    /// Must be zero.
    pub reserved: u32,
    /// Working directory.
    pub cwd: Bytes,
    /// st_dev of the working directory.
    pub cwd_dev: u64,
    /// Its st_ino.
    pub cwd_ino: u64,
    /// Root directory.
    pub root: Bytes,
    /// st_dev of the root directory.
    pub root_dev: u64,
    /// Its st_ino.
    pub root_ino: u64,
}

impl Validate for Fs {
    fn validate(&self) -> Result<(), Violation> {
        let nothing_else = *self == Self { shared_with: self.shared_with, ..Self::default() };
        ensure(
            self.reserved == 0 && (self.shared_with == 0 || nothing_else),
            Rule::RESERVED,
            || "what a thread has in common with another one stands there",
        )
    }

    fn names(&self) -> Vec<(Named, u64)> {
        vec![(Named::OwnerOf(Self::KIND), self.shared_with)]
    }
}
