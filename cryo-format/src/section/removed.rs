//! `RMVD`: a directory or symbolic link that has no name any more. Owner: an id of its own.

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::Bytes;
use crate::rules::{Rule, Violation, ensure};
use crate::section::Validate;

const S_IFMT: u32 = 0o170_000;
const S_IFDIR: u32 = 0o040_000;
const S_IFLNK: u32 = 0o120_000;

/// An inode without a name, that `FILE`s of its device and inode number, or the working directory, refer to.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Removed {
    /// Where it was, without ` (deleted)`.
    pub path: Bytes,
    /// What a symbolic link leads to; of a directory empty.
    pub target: Bytes,
    /// Device number of the file system.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// File type and permissions (st_mode): a directory's, which is empty, or a symbolic link's.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// 1 if it is the working directory, otherwise 0.
    pub cwd: u32,
}

impl Removed {
    /// Is it a directory?
    pub fn is_directory(&self) -> bool {
        self.mode & S_IFMT == S_IFDIR
    }
}

impl Validate for Removed {
    fn validate(&self) -> Result<(), Violation> {
        let link = self.mode & S_IFMT == S_IFLNK;
        ensure(link || self.is_directory(), Rule::VALUE, || format!("a removed file of mode {:#o}", self.mode))?;
        ensure(self.cwd <= u32::from(!link), Rule::VALUE, || format!("cwd is {}", self.cwd))
    }
}
