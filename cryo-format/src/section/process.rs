//! `PROC`: who a process is. Owner: the process.

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::{Addr, Bytes};
use crate::section::Validate;

/// Identity and place of one process.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Process {
    /// Process id in the freezer's pid namespace.
    pub pid: u64,
    /// Parent's pid.
    pub ppid: u64,
    /// Process group.
    pub pgid: u64,
    /// Session.
    pub sid: u64,
    /// Signal that the parent gets at exit; 17 (SIGCHLD) as a rule.
    pub exit_signal: u64,
    /// personality(2).
    pub personality: u64,
    /// umask(2).
    pub umask: u32,
    /// Bits of [`ProcessFlags`].
    pub flags: u32,
    /// prctl(PR_GET_PDEATHSIG).
    pub parent_death_signal: u32,
    /// The signal of a job-control stop (19 SIGSTOP, 20 SIGTSTP, ...), 0 when it ran.
    pub stopped_by: u32,
    /// Real, effective, saved, filesystem uid.
    pub uid: [u32; 4],
    /// Real, effective, saved, filesystem gid.
    pub gid: [u32; 4],
    /// The executable's path.
    pub exe: Bytes,
    /// Working directory.
    pub cwd: Bytes,
    /// Root directory.
    pub root: Bytes,
    /// Arguments as /proc/PID/cmdline shows them, NUL-separated: for people; the truth is in memory.
    pub cmdline: Bytes,
    /// oom_score_adj + 1000.
    pub oom_score_adj: Addr,
    /// st_dev of the working directory.
    pub cwd_dev: u64,
    /// Its st_ino; 0 if unknown.
    pub cwd_ino: u64,
    /// st_dev of the root directory.
    pub root_dev: u64,
    /// Its st_ino; 0 if unknown.
    pub root_ino: u64,
}

/// Bits of [`Process::flags`].
pub struct ProcessFlags;

impl ProcessFlags {
    /// prctl(PR_SET_CHILD_SUBREAPER).
    pub const CHILD_SUBREAPER: u32 = 1;
    /// prctl(PR_SET_NO_NEW_PRIVS).
    pub const NO_NEW_PRIVS: u32 = 2;
    /// It has a controlling terminal.
    pub const HAS_TTY: u32 = 4;
    /// It is not dumpable (PR_SET_DUMPABLE 0).
    pub const NOT_DUMPABLE: u32 = 8;
    /// prctl(PR_SET_MDWE): PR_MDWE_REFUSE_EXEC_GAIN.
    pub const MDWE_REFUSE_EXEC_GAIN: u32 = 16;
    /// prctl(PR_SET_MDWE): PR_MDWE_NO_INHERIT.
    pub const MDWE_NO_INHERIT: u32 = 32;
}

impl Validate for Process {}
