//! `FMLY`: what ties the processes of a set together. Owner: 0, the image. It is there where the set holds more than one process, or dead children.
//!
//! Who is whose child, in which process group and session, stands in each process's `PROC`: the parent of a process is the one whose `pid` is
//! its `ppid`.

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::{Bytes, List};
use crate::rules::{Rule, Violation, ascending, ensure};
use crate::section::process::Process;
use crate::section::{Named, Section, Validate};

/// A family of processes.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Family {
    /// Local id of the process that was asked for. Others descend from it, or have no parent in the set.
    pub root: u64,
    /// Processes that have ended and that nobody has waited for, sorted by pid.
    pub zombies: List<Zombie>,
    /// What two processes have in common although fork(2) gives a copy of it.
    pub common: List<Common>,
}

/// A process that has ended and that nobody has waited for.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Zombie {
    /// Its process id.
    pub pid: u64,
    /// Its parent's.
    pub ppid: u64,
    /// Process group.
    pub pgid: u64,
    /// Session.
    pub sid: u64,
    /// Signal that the parent got at its exit; 17 (SIGCHLD) as a rule.
    pub exit_signal: u32,
    /// What wait(2) will tell.
    pub status: u32,
    /// Its name (/proc/PID/comm).
    pub name: Bytes,
}

/// What a process has in common with another one.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Common {
    /// Local id of the process.
    pub process: u64,
    /// Local id of the other one, which comes before it.
    pub other: u64,
    /// Flags of clone(2): CLONE_VM 0x100, CLONE_FS 0x200, CLONE_FILES 0x400, CLONE_SIGHAND 0x800, CLONE_SYSVSEM 0x40000.
    pub flags: u32,
    /// Must be zero.
    pub reserved: u32,
}

impl Validate for Family {
    fn validate(&self) -> Result<(), Violation> {
        for c in &self.common {
            ensure(c.reserved == 0, Rule::RESERVED, || "the reserved field is not zero")?;
            ensure(c.flags & !0x4_0f00 == 0, Rule::VALUE, || {
                format!("{:#x} are no flags of clone(2) for it", c.flags)
            })?;
        }
        ascending(&self.zombies, |z| z.pid)
            .map_err(|i| Rule::SORTED.broken(format!("zombie {} is out of order", self.zombies[i].pid)))
    }

    fn names(&self) -> Vec<(Named, u64)> {
        let common = self.common.iter().flat_map(|c| [c.process, c.other]);
        common.chain([self.root]).map(|id| (Named::OwnerOf(Process::KIND), id)).collect()
    }
}
