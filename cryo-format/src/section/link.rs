//! `LINK`: the .freeze, written last, names the two files that it belongs to by their roots (spec/10-linking.md).

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::Raw;
use crate::section::Validate;

/// The other two files of the set.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Id of the template: the set id of the .frore.
    pub frore_set: Raw<16>,
    /// Root of the .frore (its END chunk).
    pub frore_root: Raw<32>,
    /// Root of the .frost.
    pub frost_root: Raw<32>,
}

impl Validate for Link {}
