//! `SEMU`: what the end of the process would undo to SysV semaphores. Owner: the process. (semop(2), SEM_UNDO)

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::List;
use crate::rules::{Rule, Violation, ascending, ensure};
use crate::section::Validate;

/// All adjustments that are not zero, sorted by set and semaphore.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SemUndo {
    /// The adjustments.
    pub adjustments: List<Adjustment>,
}

/// What is added to one semaphore when the process ends (semadj).
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Adjustment {
    /// The set's identifier.
    pub semid: u32,
    /// Its key.
    pub key: u32,
    /// The semaphore's number in the set.
    pub number: u32,
    /// What is added; positive for one that the process has taken.
    pub adjust: i32,
}

impl Validate for SemUndo {
    fn validate(&self) -> Result<(), Violation> {
        for a in &self.adjustments {
            // semop(2) takes 16 bits; SEMAEM is 32767 (linux/sem.h).
            ensure(a.adjust != 0 && a.adjust.unsigned_abs() <= 32767, Rule::VALUE, || {
                format!("semaphore {} of set {}: an adjustment of {}", a.number, a.semid, a.adjust)
            })?;
        }
        ascending(&self.adjustments, |a| (a.semid, a.number))
            .map_err(|i| Rule::SORTED.broken(format!("adjustment {i} is out of order")))
    }
}
