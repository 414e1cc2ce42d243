//! `FILE`: an open file description that is reached by a path: regular file, directory, device. Owner: the description.

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::{Addr, Bytes};
use crate::rules::{Rule, Violation, ensure};
use crate::section::Validate;

/// An open file with a path, or a deleted one with its content in the image.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OpenFile {
    /// Path as the kernel shows it, without ` (deleted)`.
    pub path: Bytes,
    /// open(2) flags as /proc/PID/fdinfo shows them, without O_CLOEXEC.
    pub open_flags: Addr,
    /// File offset; for a directory the cookie of its reader.
    pub offset: u64,
    /// Device number of the file system.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// Device number of a device file.
    pub rdev: u64,
    /// File type and permissions (st_mode).
    pub mode: u32,
    /// Must be zero.
    pub reserved: u32,
    /// Size at the time of the freeze.
    pub size: u64,
    /// Modification time: seconds.
    pub mtime_sec: i64,
    /// Modification time: nanoseconds.
    pub mtime_nsec: u64,
    /// Local id of the object with its content, for a deleted file; 0 otherwise.
    pub object: u64,
}

impl Validate for OpenFile {
    fn validate(&self) -> Result<(), Violation> {
        ensure(self.reserved == 0, Rule::RESERVED, || "the reserved field is not zero")
    }
}
