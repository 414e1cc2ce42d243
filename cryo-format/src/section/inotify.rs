//! `INOT`: watched files. Owner: the description. (inotify(7), /proc/PID/fdinfo)

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::{Addr, Bytes, List};
use crate::rules::{Rule, Violation, ascending};
use crate::section::Validate;

/// A list of watches.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Inotify {
    /// open(2) flags as /proc/PID/fdinfo shows them, without O_CLOEXEC.
    pub open_flags: Addr,
    /// The watches, sorted by descriptor.
    pub watches: List<InotifyWatch>,
}

/// A watch.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct InotifyWatch {
    /// Watch descriptor.
    pub wd: u32,
    /// IN_* events.
    pub mask: u32,
    /// Path of what is watched.
    pub path: Bytes,
    /// Its inode number.
    pub ino: u64,
}

impl Validate for Inotify {
    fn validate(&self) -> Result<(), Violation> {
        ascending(&self.watches, |w| w.wd).map_err(|i| Rule::SORTED.broken(format!("watch {i} is out of order")))
    }
}
