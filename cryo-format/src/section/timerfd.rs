//! `TMFD`: a timer as a file. Owner: the description. (timerfd_create(2), /proc/PID/fdinfo)

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::Addr;
use crate::section::Validate;

/// A timer.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Timerfd {
    /// open(2) flags as /proc/PID/fdinfo shows them, without O_CLOEXEC.
    pub open_flags: Addr,
    /// CLOCK_* number.
    pub clock: u32,
    /// TFD_TIMER_ABSTIME 1, TFD_TIMER_CANCEL_ON_SET 2.
    pub settime_flags: u32,
    /// Expirations not yet read.
    pub ticks: u64,
    /// Nanoseconds until it expires; 0 if it is not armed.
    pub value_ns: u64,
    /// Nanoseconds from one expiration to the next; 0 if there is none.
    pub interval_ns: u64,
}

impl Validate for Timerfd {}
