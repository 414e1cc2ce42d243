//! `EPOL`: an epoll set. Owner: the description. (epoll(7), /proc/PID/fdinfo, KCMP_EPOLL_TFD of kcmp(2))

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::{Addr, List};
use crate::section::{Named, Validate};

/// A set of watched descriptors.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Epoll {
    /// open(2) flags as /proc/PID/fdinfo shows them, without O_CLOEXEC.
    pub open_flags: Addr,
    /// What it watches, in the order of /proc.
    pub watches: List<Watch>,
}

/// A watched file.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Watch {
    /// The number that it was added under.
    pub fd: u32,
    /// A descriptor of the process for the file: `fd` itself, as a rule. A number that was closed or used again stays in the set as long as a duplicate keeps the file open.
    pub through: u32,
    /// EPOLL* events and flags. One of EPOLLONESHOT that has fired has flags only.
    pub events: u32,
    /// 1 if its file is ready and was reported already (EPOLLET): no new event until there is a new cause. Otherwise 0.
    pub state: u32,
    /// What epoll_wait(2) gives with an event.
    pub data: Addr,
    /// Where the process has no descriptor of the file, since that travels with a message or another process has it: its description. Then `through` means
    /// nothing. Otherwise 0.
    pub description: u64,
}

impl Validate for Epoll {
    fn names(&self) -> Vec<(Named, u64)> {
        self.watches.iter().map(|w| (Named::Description, w.description)).collect()
    }
}
