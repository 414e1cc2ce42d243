//! `PROC` version 1: who a process is. Owner: the process.

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::{Addr, Bytes};
use crate::section::{Validate, process};

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
    /// Bits of [`ProcessFlags`](process::ProcessFlags).
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
}

impl Validate for Process {}

impl From<Process> for process::Process {
    /// Releases that wrote version 1 did not look which directories these are.
    fn from(v1: Process) -> Self {
        Self {
            pid: v1.pid,
            ppid: v1.ppid,
            pgid: v1.pgid,
            sid: v1.sid,
            exit_signal: v1.exit_signal,
            personality: v1.personality,
            umask: v1.umask,
            flags: v1.flags,
            parent_death_signal: v1.parent_death_signal,
            stopped_by: v1.stopped_by,
            uid: v1.uid,
            gid: v1.gid,
            exe: v1.exe,
            cwd: v1.cwd,
            root: v1.root,
            cmdline: v1.cmdline,
            oom_score_adj: v1.oom_score_adj,
            cwd_dev: 0,
            cwd_ino: 0,
            root_dev: 0,
            root_ino: 0,
        }
    }
}
