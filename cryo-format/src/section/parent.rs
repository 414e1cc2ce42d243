//! `PRNT`: the set that has the pages which this one does not repeat. Owner: the image.
//!
//! An extent whose content is PARENT has what the parent's extents say of the same pages of the owner that is named here.

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::limits::MAX_CHAIN;
use crate::prim::{Bytes, List, Raw};
use crate::rules::{Rule, Violation, ensure};
use crate::section::Validate;

/// The parent.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ParentSet {
    /// Set id of its .freeze.
    pub set: Raw<16>,
    /// Root of its .freeze.
    pub root: Raw<32>,
    /// How many sets there are below this one: 1 if the parent is whole, at most [`MAX_CHAIN`].
    pub depth: u32,
    /// Must be zero.
    pub reserved: u32,
    /// Path of its .freeze when this set was made: where to look, and no more.
    pub name: Bytes,
    /// Whose pages may be with the parent, sorted by `owner`.
    pub owners: List<Heir>,
}

/// An owner of pages, and who it is in the parent.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Heir {
    /// Local id in this set: of a process or an object.
    pub owner: u64,
    /// Local id in the parent.
    pub parent: u64,
}

impl ParentSet {
    /// Whom the parent calls what this set calls `owner`.
    pub fn of(&self, owner: u64) -> Option<u64> {
        let i = self.owners.binary_search_by_key(&owner, |heir| heir.owner).ok()?;
        self.owners.get(i).map(|heir| heir.parent)
    }
}

impl Validate for ParentSet {
    fn validate(&self) -> Result<(), Violation> {
        ensure(self.reserved == 0, Rule::RESERVED, || "its reserved field is not zero")?;
        ensure((1..=MAX_CHAIN).contains(&self.depth), Rule::VALUE, || {
            format!("{} sets below it, of 1 to {MAX_CHAIN}", self.depth)
        })?;
        let sorted = self.owners.windows(2).all(|two| two[0].owner < two[1].owner);
        ensure(sorted, Rule::SORTED, || "its owners are not sorted")
    }
}
