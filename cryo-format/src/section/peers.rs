//! `PEER`: who a unix socket says is at its other end. Owner: the socket's description. (unix(7), SO_PEERCRED)

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::section::Validate;

/// Who called socketpair(2) or connect(2); of a listener, listen(2).
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Peer {
    /// The pid as the processes of the image see it.
    pub pid: u64,
    /// Effective user of then.
    pub uid: u32,
    /// Effective group of then.
    pub gid: u32,
}

impl Validate for Peer {}
