//! `FANO`: marked files. Owner: the description. (fanotify(7), /proc/PID/fdinfo, mountinfo)

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::{Addr, Bytes, List};
use crate::section::Validate;

/// A notification group.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Fanotify {
    /// open(2) flags as /proc/PID/fdinfo shows them, without O_CLOEXEC.
    pub open_flags: Addr,
    /// Flags of fanotify_init(2).
    pub init_flags: u32,
    /// Its `event_f_flags`.
    pub event_flags: u32,
    /// The marks.
    pub marks: List<FanotifyMark>,
}

/// A mark.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FanotifyMark {
    /// FAN_MARK_INODE 0, FAN_MARK_MOUNT 0x10, FAN_MARK_FILESYSTEM 0x100.
    pub kind: u32,
    /// FAN_MARK_IGNORED_SURV_MODIFY 0x40, FAN_MARK_EVICTABLE 0x200, FAN_MARK_IGNORE 0x400.
    pub flags: u32,
    /// FAN_* events.
    pub mask: Addr,
    /// FAN_* events that are ignored.
    pub ignored: Addr,
    /// Path of the file, or of a place in the mount or file system.
    pub path: Bytes,
}

impl Validate for Fanotify {}
