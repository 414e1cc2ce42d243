//! `EPOL` version 1: an epoll set. Owner: the description. (epoll(7), /proc/PID/fdinfo, KCMP_EPOLL_TFD of kcmp(2))

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::{Addr, List};
use crate::section::{Validate, epoll};

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
}

impl Validate for Epoll {}

impl From<Epoll> for epoll::Epoll {
    /// Releases that wrote version 1 carried a set where its process had a descriptor of all that it watches.
    fn from(v1: Epoll) -> Self {
        let watch = |w: Watch| epoll::Watch {
            fd: w.fd,
            through: w.through,
            events: w.events,
            state: w.state,
            data: w.data,
            description: 0,
        };
        Self { open_flags: v1.open_flags, watches: v1.watches.0.into_iter().map(watch).collect() }
    }
}
