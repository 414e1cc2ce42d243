//! `CLKS`: what the clocks that count from the start of the machine showed the process. Owner: the process. (clock_gettime(2), time_namespaces(7))

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::section::Validate;

/// Clocks of one process when it was frozen.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Clocks {
    /// CLOCK_MONOTONIC in nanoseconds.
    pub monotonic_ns: u64,
    /// CLOCK_BOOTTIME in nanoseconds.
    pub boottime_ns: u64,
}

impl Validate for Clocks {}
