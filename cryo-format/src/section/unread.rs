//! `UNRD`: bytes that wait at an end whose other end is outside. Owner: the description, which has an `OUTS`.

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::Blob;
use crate::section::Validate;

/// What the program has not read yet.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Unread {
    /// The bytes, oldest first.
    pub content: Blob,
}

impl Validate for Unread {}
