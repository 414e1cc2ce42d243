//! `SESS` and `CTTY`: sessions whose controlling terminal is a pseudo-terminal of the image, and openings of /dev/tty that lead there. Owner: the image;
//! the opening's description. (setsid(2), TIOCSCTTY of ioctl_tty(2))

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::{Addr, List};
use crate::rules::{Rule, Violation, ascending, ensure};
use crate::section::process::Process;
use crate::section::ptys::Pty;
use crate::section::{Named, Section, Validate};

/// All such sessions, sorted by their numbers.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Sessions {
    /// The sessions.
    pub sessions: List<Session>,
}

/// A session. Its leader is the process of the same number.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Session {
    /// The session's number: the `sid` of its processes.
    pub sid: u64,
    /// Local id of its pseudo-terminal: the owner of its `PTTY`.
    pub pty: u64,
    /// The process group in the foreground: the `pgid` of its processes; 0 if none of the image's.
    pub foreground: u64,
}

/// An opening of /dev/tty.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DevTty {
    /// Local id of the pseudo-terminal that it led to: the owner of its `PTTY`.
    pub pty: u64,
    /// open(2) flags as /proc/PID/fdinfo shows them, without O_CLOEXEC.
    pub open_flags: Addr,
}

impl Sessions {
    /// The session that this process leads, if it is one of these.
    pub fn led_by(&self, process: &Process) -> Option<&Session> {
        self.sessions.iter().find(|s| s.sid == process.pid && s.sid == process.sid)
    }
}

impl Validate for Sessions {
    fn validate(&self) -> Result<(), Violation> {
        for s in &self.sessions {
            ensure(s.sid != 0 && s.pty != 0, Rule::VALUE, || {
                format!("session {} with pseudo-terminal {}", s.sid, s.pty)
            })?;
        }
        ascending(&self.sessions, |s| s.sid).map_err(|i| Rule::SORTED.broken(format!("session {i} is out of order")))
    }

    fn names(&self) -> Vec<(Named, u64)> {
        self.sessions.iter().map(|s| (Named::OwnerOf(Pty::KIND), s.pty)).collect()
    }
}

impl Validate for DevTty {
    fn names(&self) -> Vec<(Named, u64)> {
        vec![(Named::OwnerOf(Pty::KIND), self.pty)]
    }
}
