//! `NOTE`: what was left out, replaced or could not be seen, for people. Ancillary.

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::{Bytes, List};
use crate::section::Validate;

/// The object of the note that says that a set was redacted: there is not enough left in it to thaw, and thawers refuse it.
pub const REDACTED: &str = "redacted";

/// The object of the note that says that a set was made of an ELF core: a core has no descriptors, handlers and credentials, and thawers refuse the set.
pub const FROM_CORE: &str = "made of a core";

/// Notes of the freezer.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Notes {
    /// The notes.
    pub notes: List<Note>,
}

/// One note.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Note {
    /// What it is about: `fd 7`, `7f00-7f01`.
    pub object: Bytes,
    /// What happened to it.
    pub text: Bytes,
}

impl Validate for Notes {}
