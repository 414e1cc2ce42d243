//! `MM  `: the landmarks of an address space, as prctl(PR_SET_MM_MAP) takes them. (prctl(2), proc(5) stat fields 26-51)

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::{Addr, List};
use crate::rules::{Rule, Violation, ensure};
use crate::section::Validate;

/// Landmarks of one process's memory.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Mm {
    /// Text range.
    pub start_code: Addr,
    /// End of text.
    pub end_code: Addr,
    /// Initialised data.
    pub start_data: Addr,
    /// End of data.
    pub end_data: Addr,
    /// Where the heap begins.
    pub start_brk: Addr,
    /// Where it ends now: sbrk(0).
    pub brk: Addr,
    /// Bottom of the main stack.
    pub start_stack: Addr,
    /// Arguments, as /proc/PID/cmdline shows them.
    pub arg_start: Addr,
    /// End of arguments.
    pub arg_end: Addr,
    /// Environment.
    pub env_start: Addr,
    /// End of environment.
    pub env_end: Addr,
    /// The executable: an object's local id; 0 if unknown.
    pub exe: u64,
    /// prctl(PR_GET_THP_DISABLE).
    pub thp_disable: u32,
    /// mlockall(2) flags for future mappings (MCL_FUTURE 2, MCL_ONFAULT 4).
    pub mlock_future: u32,
    /// prctl(PR_GET_MEMORY_MERGE): all that can be merged with equal pages is.
    pub memory_merge: u32,
    /// Must be zero.
    pub reserved: u32,
    /// The auxiliary vector: pairs of type and value, ending with AT_NULL.
    pub auxv: List<Addr>,
    /// membarrier(2): what it has registered for, as the bits of MEMBARRIER_CMD_REGISTER_*.
    pub membarrier: Addr,
    /// /proc/PID/coredump_filter.
    pub coredump_filter: Addr,
}

impl Validate for Mm {
    fn validate(&self) -> Result<(), Violation> {
        ensure(self.reserved == 0, Rule::RESERVED, || "reserved field is not zero")
    }
}
