//! `PTIM`: POSIX timers. Owner: the process. (timer_create(2), /proc/PID/timers)

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::{Addr, List};
use crate::rules::{Rule, Violation, ascending, ensure};
use crate::section::thread::Thread;
use crate::section::{Named, Section, Validate};

/// The POSIX timers of one process.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Ptimers {
    /// Sorted by id.
    pub timers: List<Ptimer>,
}

/// One POSIX timer.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Ptimer {
    /// The kernel's id: what the program hands to timer_settime(2).
    pub id: u32,
    /// Its clock. A CPU clock is negative and names nobody: `clock_thread` says whose time it is.
    pub clock: i32,
    /// Local id of the thread whose CPU time it measures; 0 for that of the process, and for all other clocks.
    pub clock_thread: u64,
    /// SIGEV_SIGNAL 0, SIGEV_NONE 1, SIGEV_THREAD 2, SIGEV_THREAD_ID 4.
    pub notify: u32,
    /// The signal; 0 for none.
    pub signal: u32,
    /// The sigval that comes with it.
    pub value: Addr,
    /// Local id of the thread that gets the signal (SIGEV_THREAD_ID); 0 for the process.
    pub thread: u64,
    /// What timer_getoverrun(2) says.
    pub overrun: u64,
    /// Nanoseconds from one expiration to the next; 0 for a single one.
    pub interval_ns: u64,
    /// Nanoseconds to the next expiration; 0 if it is not armed.
    pub value_ns: u64,
}

impl Ptimer {
    /// `notify` of a timer whose signal goes to one thread.
    pub const THREAD_ID: u32 = 4;
}

impl Validate for Ptimers {
    fn validate(&self) -> Result<(), Violation> {
        for t in &self.timers {
            ensure(matches!(t.notify, 0..=2 | Ptimer::THREAD_ID), Rule::VALUE, || {
                format!("timer {} has notification {}, which is not 0, 1, 2 or 4", t.id, t.notify)
            })?;
            ensure(t.signal <= 64, Rule::SIGNAL, || format!("timer {} sends signal {}", t.id, t.signal))?;
        }
        ascending(&self.timers, |t| t.id).map_err(|i| Rule::SORTED.broken(format!("timer {i} is out of order")))
    }

    fn names(&self) -> Vec<(Named, u64)> {
        let threads = self.timers.iter().flat_map(|t| [t.clock_thread, t.thread]);
        threads.map(|id| (Named::OwnerOf(Thread::KIND), id)).collect()
    }
}
