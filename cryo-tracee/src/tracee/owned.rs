//! A process that is being made and is ours alone.

use crate::stopped::Stopped;
use crate::sys::{self, Wait};
use crate::{Error, Result, signals};

/// Its only thread, which stands still. Dropping this ends the process.
pub(super) struct Owned(Option<Stopped>);

impl Owned {
    /// Waits for the stop with which a process begins whose parent is traced and told of births.
    pub(super) fn born(pid: i32) -> Result<Self> {
        let mut owned = Self(Some(Stopped::new(pid, pid)));
        owned.thread()?.settle()?;
        Ok(owned)
    }

    /// The thread.
    pub(super) fn thread(&mut self) -> Result<&mut Stopped> {
        self.0.as_mut().ok_or(Error::Died(0))
    }

    /// Process id.
    pub(super) fn pid(&self) -> i32 {
        self.0.as_ref().map_or(0, Stopped::pid)
    }

    /// Whoever takes the thread has to see the process off, or let it go.
    pub(super) fn take(mut self) -> Option<Stopped> {
        self.0.take()
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        let Some(thread) = self.0.take() else { return };
        let _ = signals::kill(thread.pid(), libc::SIGKILL);
        while !matches!(sys::wait(thread.pid()), Ok(Wait::Ended(_)) | Err(_)) {}
        std::mem::forget(thread); // nothing is left to be let go
    }
}
