//! `ITIM`: interval timers, those that are set. Owner: the process. (getitimer(2), alarm(2))

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::List;
use crate::rules::{Rule, Violation, ascending, ensure};
use crate::section::Validate;

/// The interval timers of one process.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Itimers {
    /// Sorted by `which`.
    pub timers: List<Itimer>,
}

/// One interval timer.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Itimer {
    /// ITIMER_REAL 0, ITIMER_VIRTUAL 1, ITIMER_PROF 2.
    pub which: u32,
    /// Must be zero.
    pub reserved: u32,
    /// Microseconds from one signal to the next; 0 for a single one.
    pub interval_us: u64,
    /// Microseconds that are left. 0 with an interval: its signal is pending, and it goes on when that is taken.
    pub value_us: u64,
}

impl Validate for Itimers {
    fn validate(&self) -> Result<(), Violation> {
        for t in &self.timers {
            ensure(t.which <= 2, Rule::VALUE, || format!("interval timer {} is not 0, 1 or 2", t.which))?;
            ensure(t.reserved == 0, Rule::RESERVED, || format!("reserved field of timer {} is not zero", t.which))?;
        }
        ascending(&self.timers, |t| t.which).map_err(|i| Rule::SORTED.broken(format!("timer {i} is out of order")))
    }
}
