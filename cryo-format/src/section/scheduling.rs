//! `SCHD`: how a thread is scheduled. Owner: the process, and each thread that differs from its main thread. (sched(7))

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::Blob;
use crate::section::Validate;

/// The scheduling of one thread.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Scheduling {
    /// SCHED_OTHER 0, SCHED_FIFO 1, SCHED_RR 2, SCHED_BATCH 3, SCHED_IDLE 5, SCHED_DEADLINE 6, SCHED_EXT 7.
    pub policy: u32,
    /// -20 to 19, whatever the policy.
    pub nice: i32,
    /// Priority of SCHED_FIFO and SCHED_RR.
    pub priority: u32,
    /// ioprio_get(2): class in the upper three of 16 bits, level in the lower ones.
    pub ioprio: u32,
    /// SCHED_FLAG_* of sched_getattr(2).
    pub flags: u64,
    /// SCHED_DEADLINE: nanoseconds of CPU time in each period; otherwise the thread's time slice.
    pub runtime_ns: u64,
    /// SCHED_DEADLINE: nanoseconds from a period's begin within which it gets them.
    pub deadline_ns: u64,
    /// SCHED_DEADLINE: nanoseconds.
    pub period_ns: u64,
    /// Least utilization, of 1024.
    pub util_min: u32,
    /// Highest utilization, of 1024.
    pub util_max: u32,
    /// prctl(PR_GET_TIMERSLACK); 0 if it has none.
    pub timer_slack_ns: u64,
    /// CPUs that it may run on, bit n%8 of byte n/8 for CPU n; empty if it may run on all that are there.
    pub affinity: Blob,
}

impl Validate for Scheduling {}
