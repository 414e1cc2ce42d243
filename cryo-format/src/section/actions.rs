//! `SIGA`: signal handlers, those that are not the default. Owner: the process. (rt_sigaction(2))

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::{Addr, List};
use crate::rules::{Rule, Violation, ascending, ensure};
use crate::section::Validate;

/// The handlers of one process.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Actions {
    /// Sorted by signal; a signal that is absent has SIG_DFL.
    pub actions: List<Action>,
}

/// One handler.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Action {
    /// Signal number, 1 to 64.
    pub signal: u32,
    /// Must be zero.
    pub reserved: u32,
    /// 1 is SIG_IGN.
    pub handler: Addr,
    /// SA_* flags.
    pub flags: Addr,
    /// SA_RESTORER's function.
    pub restorer: Addr,
    /// Signals blocked while it runs.
    pub mask: Addr,
}

impl Validate for Actions {
    fn validate(&self) -> Result<(), Violation> {
        for a in &self.actions {
            ensure((1..=64).contains(&a.signal), Rule::SIGNAL, || {
                format!("signal {} is not between 1 and 64", a.signal)
            })?;
            ensure(a.reserved == 0, Rule::RESERVED, || format!("reserved field of signal {} is not zero", a.signal))?;
        }
        ascending(&self.actions, |a| a.signal).map_err(|i| Rule::SIGNAL.broken(format!("handler {i} is out of order")))
    }
}
