//! What a watched family did: one record of each thing, as the log has it.

use serde::{Serialize, Serializer};

use super::set_uid::Fate;

/// Bytes of a path: text in the log, as well as it can be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathBytes(pub Vec<u8>);

impl From<Vec<u8>> for PathBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Serialize for PathBytes {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&String::from_utf8_lossy(&self.0))
    }
}

/// One record.
#[derive(Clone, Debug, Serialize)]
pub struct Record {
    /// Nanoseconds since 1970.
    pub at: u64,
    /// The process.
    pub pid: i32,
    /// The thread.
    pub tid: i32,
    /// What it did.
    #[serde(flatten)]
    pub what: What,
}

/// Which timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Timer {
    /// ITIMER_REAL 0, ITIMER_VIRTUAL 1, ITIMER_PROF 2.
    Interval(i32),
    /// One of timer_create(2), by its id.
    Posix(i32),
}

/// What was done. Numbers are the kernel's own; descriptors, paths and pids are those of the process itself.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[allow(missing_docs)] // the names say it, and the manual pages of the calls
pub enum What {
    Opened { fd: i32, path: PathBytes, dir: i32, flags: u64, mode: u32 },
    Made { fd: i32, kind: String },
    Pair { fds: [i32; 2], kind: String },
    Duplicated { fd: i32, from: i32 },
    Renamed { from: PathBytes, from_dir: i32, to: PathBytes, to_dir: i32 },
    Directory { path: PathBytes },
    Socket { fd: i32, domain: i32, kind: i32, protocol: i32 },
    Received { fds: Vec<i32>, kinds: Vec<String> },
    Accepted { fd: i32, from: i32 },
    Bound { fd: i32, address: Vec<u8> },
    Connected { fd: i32, address: Vec<u8> },
    Listening { fd: i32, backlog: i32 },
    Handler { signal: i32, handler: u64, flags: u64, mask: u64 },
    Sent { to: i32, signal: i32 },
    TimerMade { timer: Timer, clock: i32 },
    TimerSet { timer: Timer, on: bool },
    TimerGone { timer: Timer },
    SharedMemory { addr: u64, len: u64, fd: i32 },
    SysvAttached { addr: u64, id: i32 },
    Sysv { kind: String, key: i32, id: i32 },
    Execute { path: PathBytes },
    Executed,
    SetUid { path: PathBytes, why: String, fate: Fate },
    Prctl { option: i32, value: u64 },
    Group { pid: i32, group: i32 },
    Session,
    Born { child: i32, thread: bool },
    Ended { status: i32 },
    Signal { signal: i32 },
}
