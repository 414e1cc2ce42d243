//! The memory of a process as of the moment of the freeze.

use cryo_tracee::Memory;

use super::copied::{Copied, Since};
use crate::Result;

/// Where it is read from.
#[derive(Clone, Copy)]
pub enum Still<'a> {
    /// A process that does not run: the original, or its forked copy.
    Process(&'a Memory),
    /// What was copied out of it.
    Copied(&'a Copied),
}

impl Still<'_> {
    /// See [`Copied::since`].
    pub fn since(&self, addr: u64) -> (Since, u64) {
        match self {
            Self::Process(_) => (Since::Unknown, u64::MAX),
            Self::Copied(copied) => copied.since(addr),
        }
    }

    /// Reads exactly `buf.len()` bytes at `addr`.
    pub fn read(&self, addr: u64, buf: &mut [u8]) -> Result<()> {
        match self {
            Self::Process(memory) => Ok(memory.read(addr, buf)?),
            Self::Copied(copied) => copied.read(addr, buf),
        }
    }
}
