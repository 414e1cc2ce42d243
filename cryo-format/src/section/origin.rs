//! `ORIG`: where and when the freeze was made. Ancillary; nothing depends on it.

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::Bytes;
use crate::section::Validate;

/// Origin of the set.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Origin {
    /// Seconds since 1970 (UTC).
    pub time_sec: i64,
    /// Nanoseconds.
    pub time_nsec: u64,
    /// Name and version of the tool.
    pub tool: Bytes,
    /// uname(2): nodename.
    pub host: Bytes,
    /// uname(2): sysname, release and version.
    pub kernel: Bytes,
    /// How long the process had stood still when everything but its pages was collected, in nanoseconds; 0 if unknown.
    pub stopped_ns: u64,
}

impl Validate for Origin {}
