//! `LINK`: the .freeze, written last, names the two files that it belongs to by their roots (spec/10-linking.md).

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::header::{Header, Profile};
use crate::prim::Raw;
use crate::rules::{Rule, Violation, ensure};
use crate::section::Validate;

/// The other two files of the set.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Link {
    /// Id of the template: the set id of the .frore.
    pub frore_set: Raw<16>,
    /// Root of the .frore (its END chunk).
    pub frore_root: Raw<32>,
    /// Root of the .frost.
    pub frost_root: Raw<32>,
}

impl Validate for Link {}

impl Link {
    /// Does the .frore or .frost with this header and this root belong to the .freeze that this section and `freeze` are from?
    pub fn admits(&self, freeze: &Header, other: &Header, root: &Raw<32>) -> Result<(), Violation> {
        let (rule, set, wanted) = match other.profile {
            Profile::Frore => (Rule::LINK_ROOT, self.frore_set, self.frore_root),
            _ => (Rule::SET_ID, freeze.set, self.frost_root),
        };
        ensure(other.set == set, rule, || format!("it is of set {}, the .freeze wants one of set {set}", other.set))?;
        ensure(*root == wanted, Rule::LINK_ROOT, || format!("its root is {root}, the .freeze was made with {wanted}"))?;
        ensure(other.machine == freeze.machine && other.page_shift == freeze.page_shift, Rule::SAME_MACHINE, || {
            let (a, b) = (other, freeze);
            format!(
                "machine {}, page shift {} against {}, {} of the .freeze",
                a.machine, a.page_shift, b.machine, b.page_shift
            )
        })
    }
}
