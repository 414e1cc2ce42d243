//! `ATTR`: what an inode has besides content, of files that only the image holds. Owner: the image. (inode(7), xattr(7))

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::{Blob, Bytes, List};
use crate::rules::{Rule, Violation, ascending};
use crate::section::{Named, Validate};

/// One entry for each deleted file or memfd that a descriptor refers to, sorted by object.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Attributes {
    /// The inodes.
    pub inodes: List<InodeAttributes>,
}

/// Of one inode. Its mode, size and time of modification stand in `OBJS`.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct InodeAttributes {
    /// Local id of its object.
    pub object: u64,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Time of the last access: seconds.
    pub atime_sec: i64,
    /// Time of the last access: nanoseconds.
    pub atime_nsec: u64,
    /// Extended attributes that may be read, in the order of listxattr(2).
    pub extended: List<ExtendedAttribute>,
}

/// An extended attribute.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExtendedAttribute {
    /// Its name, `user.colour`.
    pub name: Bytes,
    /// Its value.
    pub value: Blob,
}

impl Validate for Attributes {
    fn validate(&self) -> Result<(), Violation> {
        ascending(&self.inodes, |i| i.object).map_err(|i| Rule::SORTED.broken(format!("inode {i} is out of order")))
    }

    fn names(&self) -> Vec<(Named, u64)> {
        self.inodes.iter().map(|i| (Named::Object, i.object)).collect()
    }
}
