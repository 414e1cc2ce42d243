//! `AIO `: asynchronous I/O contexts (io_setup(2)). Owner: the process.

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::prim::{Addr, List};
use crate::rules::{Rule, Violation, ascending, ensure};
use crate::section::Validate;

/// All contexts of a process, sorted by address. None has a request in flight.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Aio {
    /// The contexts.
    pub contexts: List<AioContext>,
}

/// A context. Its ring is a mapping in `VMAS`, there an anonymous one without pages.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AioContext {
    /// Where its ring is mapped: what the program knows as `aio_context_t`.
    pub address: Addr,
    /// Bytes that the ring takes: whole pages, and not 0.
    pub size: u64,
    /// What is done and not yet taken, the oldest first.
    pub events: List<AioEvent>,
}

/// struct io_event of linux/aio_abi.h.
#[binrw]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AioEvent {
    /// The request's `aio_data`.
    pub data: u64,
    /// Address of the request.
    pub obj: Addr,
    /// Its result.
    pub res: i64,
    /// Its second result.
    pub res2: i64,
}

impl AioContext {
    /// How many events a ring of this size has room for: 32 bytes each, behind a head of 32 bytes; one place always stays free.
    #[must_use]
    pub fn room(&self) -> u64 {
        (self.size / 32).saturating_sub(2)
    }
}

impl Validate for Aio {
    fn validate(&self) -> Result<(), Violation> {
        for c in &self.contexts {
            let pages = c.size != 0 && (c.size | c.address.0).is_multiple_of(4096);
            ensure(pages && c.address.0.checked_add(c.size).is_some(), Rule::VALUE, || {
                format!("a context at {} of {} bytes", c.address, c.size)
            })?;
            ensure(c.events.len() as u64 <= c.room(), Rule::VALUE, || {
                format!("{} events in the context at {}, which has room for {}", c.events.len(), c.address, c.room())
            })?;
        }
        ascending(&self.contexts, |c| c.address)
            .map_err(|i| Rule::SORTED.broken(format!("the context at {} is out of order", self.contexts[i].address)))
    }
}
