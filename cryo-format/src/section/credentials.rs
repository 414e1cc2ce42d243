//! `CRED`: in whose name, and with what powers. Owner: the process, and each thread that differs from its main thread. (credentials(7), capabilities(7))

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::{Addr, List};
use crate::rules::{Rule, Violation, ensure};
use crate::section::Validate;

/// The credentials of one thread.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Credentials {
    /// Real, effective, saved, filesystem uid.
    pub uid: [u32; 4],
    /// Real, effective, saved, filesystem gid.
    pub gid: [u32; 4],
    /// Supplementary groups.
    pub groups: List<u32>,
    /// Capabilities that an exec may hand on, bit n for capability n.
    pub inheritable: Addr,
    /// Capabilities that it may take.
    pub permitted: Addr,
    /// Capabilities that it has.
    pub effective: Addr,
    /// Capabilities that it can ever gain.
    pub bounding: Addr,
    /// Capabilities that an exec as an ordinary user keeps.
    pub ambient: Addr,
    /// prctl(PR_GET_SECUREBITS).
    pub securebits: u32,
    /// prctl(PR_GET_NO_NEW_PRIVS): 0 or 1.
    pub no_new_privs: u32,
    /// prctl(PR_GET_PDEATHSIG), which a change of credentials clears; 0 for none.
    pub parent_death_signal: u32,
    /// Must be zero.
    pub reserved: u32,
}

impl Validate for Credentials {
    fn validate(&self) -> Result<(), Violation> {
        ensure(self.no_new_privs <= 1, Rule::VALUE, || format!("no_new_privs is {}, not 0 or 1", self.no_new_privs))?;
        let signal = self.parent_death_signal;
        ensure(signal <= 64, Rule::SIGNAL, || format!("the parent-death signal {signal} is none"))?;
        ensure(self.reserved == 0, Rule::RESERVED, || "the reserved field is not zero")
    }
}
