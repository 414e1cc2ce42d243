//! `SGFD`: signals as a file. Owner: the description. (signalfd(2), /proc/PID/fdinfo)

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::Addr;
use crate::section::Validate;

/// A set of signals to be read.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Signalfd {
    /// open(2) flags as /proc/PID/fdinfo shows them, without O_CLOEXEC.
    pub open_flags: Addr,
    /// The signals: bit n-1 for signal n.
    pub mask: Addr,
}

impl Validate for Signalfd {}
