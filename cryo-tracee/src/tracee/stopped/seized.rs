//! A thread that is traced, and does not stand still yet.

use super::Stopped;
use crate::sys::{self, Fault, Request};
use crate::tracee::tracees;
use crate::{Error, Result};

/// A thread that is traced, and runs or is about to stop.
pub(crate) struct Seized {
    thread: Option<Stopped>,
    tid: i32,
}

impl Seized {
    pub(crate) fn new(pid: i32, tid: i32) -> Result<Self> {
        if let Err(e) = sys::ptrace(Request::Seize, tid, 0, libc::PTRACE_O_TRACESYSGOOD as usize, Fault::Counted) {
            if e.errno() != Some(libc::EPERM) || !tracees::is_ours(tid) {
                return Err(e);
            }
            // It is of the family that we watch.
            return Ok(Self { thread: Some(Stopped::watched(pid, tid)), tid });
        }
        Ok(Self { thread: Some(Stopped::new(pid, tid)), tid })
    }

    /// Does it stand already, as all of a watched family do when they are to be frozen?
    fn stands(&self) -> bool {
        self.thread.as_ref().is_some_and(|t| t.watched) && tracees::stands(self.tid)
    }

    /// It will stop soon. Many threads are told before the first is waited for.
    pub(crate) fn interrupt(&self) -> Result<()> {
        if self.stands() {
            return Ok(());
        }
        sys::ptrace(Request::Interrupt, self.tid, 0, 0, Fault::Counted).map(drop)
    }

    pub(crate) fn finish(mut self) -> Result<Stopped> {
        let stands = self.stands();
        let mut thread = self.thread.take().ok_or(Error::Died(self.tid))?;
        if stands {
            thread.stopped_by = tracees::stopped_by(self.tid);
            return Ok(thread);
        }
        match thread.settle() {
            Ok(()) => Ok(thread),
            Err(e) => {
                std::mem::forget(thread); // gone, or not stopped: either way it cannot be detached
                Err(e)
            }
        }
    }
}

impl Drop for Seized {
    /// A thread can be let go only from a stop.
    fn drop(&mut self) {
        let Some(mut thread) = self.thread.take() else { return };
        let _ = sys::ptrace(Request::Interrupt, self.tid, 0, 0, Fault::Never);
        if thread.settle().is_err() {
            std::mem::forget(thread);
        }
    }
}
