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
    /// 1 if TIOCEXCL is in force of the other end; that of the master is in [`Pty::flags`]. It was reserved once, so that who does not know it refuses it.
    pub exclusive: u32,
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
}

impl Validate for Pty {}

impl Validate for PtyEnd {
    fn validate(&self) -> Result<(), Violation> {
        ensure(self.exclusive <= u32::from(self.master == 0), Rule::RESERVED, || {
            format!("master {} and exclusive {}: that is not one of an end", self.master, self.exclusive)
        })
    }

    fn names(&self) -> Vec<(Named, u64)> {
        vec![(Named::OwnerOf(Pty::KIND), self.pty)]
    }
}
