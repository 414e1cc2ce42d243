//! `PTTY` and `PTYE`: a pseudo-terminal of the process's own, and its ends. Owner: the pseudo-terminal, by an id of its own; an end's description.

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::Addr;
use crate::rules::{Rule, Violation, ensure};
use crate::section::terminal::Settings;
use crate::section::{Named, Section, Validate};

/// A pseudo-terminal.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Pty {
    /// N of /dev/pts/N. The thawed one has another.
    pub number: u32,
    /// See below.
    pub flags: u32,
    /// What is set.
    #[serde(flatten)]
    pub settings: Settings,
}

/// An end.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PtyEnd {
    /// Local id of the pseudo-terminal: the owner of its `PTTY`.
    pub pty: u64,
    /// open(2) flags as /proc/PID/fdinfo shows them, without O_CLOEXEC.
    pub open_flags: Addr,
    /// 1 for the master, 0 for the other end.
    pub master: u32,
    /// Must be zero.
    pub reserved: u32,
}

/// Bits of [`Pty::flags`].
pub struct PtyFlags;

impl PtyFlags {
    /// TIOCSPTLCK: the other end cannot be opened yet.
    pub const LOCKED: u32 = 1;
    /// TIOCPKT.
    pub const PACKET: u32 = 2;
    /// TIOCEXCL of the master.
    pub const EXCLUSIVE: u32 = 4;
    /// The other end was open and is closed.
    pub const HUNG_UP: u32 = 8;
    /// TIOCEXCL of the other end.
    pub const OTHER_EXCLUSIVE: u32 = 16;
}

impl Validate for Pty {}

impl Validate for PtyEnd {
    fn validate(&self) -> Result<(), Violation> {
        ensure(self.reserved == 0, Rule::RESERVED, || "the reserved field is not zero")
    }

    fn names(&self) -> Vec<(Named, u64)> {
        vec![(Named::OwnerOf(Pty::KIND), self.pty)]
    }
}
