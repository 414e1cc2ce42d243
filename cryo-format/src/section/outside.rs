//! `OUTS`: an open file description whose other end is not in the image: a terminal, a pipe to another program. Owner: the description.

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::{Addr, Bytes};
use crate::section::Validate;

/// An end that the thawer has to find again.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outside {
    /// What it was, for people: `/dev/pts/3`, `pipe:[1234]`.
    pub what: Bytes,
    /// open(2) flags.
    pub open_flags: Addr,
    /// One of the constants of [`Policy`].
    pub policy: Policy,
    /// For INHERIT: the thawer's descriptor to take.
    pub inherit: u32,
    /// For PATH: the file to open.
    pub path: Bytes,
}

/// What the thawer puts in its place.
#[binrw]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Policy(pub u32);

impl Policy {
    /// The thawer's own descriptor of the number in `inherit`.
    pub const INHERIT: Self = Self(0);
    /// /dev/null.
    pub const NULL: Self = Self(1);
    /// The file named in `path`.
    pub const PATH: Self = Self(2);
    /// The terminal that the thawer runs on: its controlling terminal, else its first standard descriptor.
    pub const TERMINAL: Self = Self(3);
}

impl Validate for Outside {}
