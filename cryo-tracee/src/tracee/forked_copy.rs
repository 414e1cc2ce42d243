//! A forked copy of a process, as the snapshot: the original goes on while the copy's memory is read.
//!
//! The copy shall never be the original's child: a program that waits for children, or lists them, does not know it, and a zombie would stay if
//! we were killed. So the original clones a process in between, which clones the copy and ends; the original waits for it in the same
//! breath (exit signal 0, `__WALL`), and the copy belongs to init. All of that is done by code that needs nobody: killed at any moment, what was
//! begun is finished inside, and a copy that nobody traces exits. Once it is ours, it dies with us (PTRACE_O_EXITKILL).
//!
//! Its end is told to init, or to a subreaper between. One that never waits for its children keeps a zombie of it, as of every daemon.

use super::owned::Owned;
use crate::mem::Memory;
use crate::remote::Remote;
use crate::sys::{self, Fault, Request, Wait};
use crate::{Error, Result};

/// The copy. Dropping it ends it.
pub struct ForkedCopy {
    thread: Owned,
    /// Its memory.
    pub memory: Memory,
}

/// A process whose parent is traced with PTRACE_O_TRACECLONE, from its first stop on; it dies with us.
fn born(pid: i32, options: i32) -> Result<Owned> {
    let mut owned = Owned::born(pid)?;
    owned.thread()?.options(options | libc::PTRACE_O_EXITKILL, Fault::Counted)?;
    Ok(owned)
}

/// Lets a process go on until it has made a child, and then until it has ended.
fn child_of(mut between: Owned) -> Result<i32> {
    let pid = between.pid();
    between.thread()?.go(Request::Cont)?;
    let mut child = None;
    loop {
        match sys::wait(pid)? {
            Wait::Ended(_) => {
                std::mem::forget(between.take());
                return child.ok_or(Error::Died(pid));
            }
            Wait::Event(libc::PTRACE_EVENT_CLONE, _) => child = sys::event_message(pid).map(|id| id as i32),
            _ => {}
        }
        between.thread()?.go(Request::Cont)?;
    }
}

impl ForkedCopy {
    /// Copies the process whose thread `remote` has borrowed.
    pub fn of(remote: &mut Remote<'_>) -> Result<Self> {
        let options = libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_TRACECLONE;
        remote.thread().options(options, Fault::Counted)?;
        let copied = remote.begin_copy().and_then(|between| {
            let Some(between) = between else { return Err(remote.copy_error()) };
            let pid = born(between, options).and_then(child_of);
            let copy = pid.and_then(|pid| born(pid, libc::PTRACE_O_TRACESYSGOOD));
            // The one in between has ended, or been ended: the original sees it off and goes on to its event.
            remote.thread().wait_event().and(copy)
        });
        let _ = remote.thread().options(libc::PTRACE_O_TRACESYSGOOD, Fault::Never);
        let mut thread = copied?;
        thread.thread()?.make_host()?;
        let memory = Memory::open(thread.thread()?.pid())?;
        // It holds nothing open: an end of a pipe that the original closes meanwhile is to be closed for all, a lock given up is given up.
        let close = [0, u32::MAX.into(), 0, 0, 0, 0];
        Remote::with_scratch(thread.thread()?, &memory, remote.scratch())?.call(libc::SYS_close_range, close)?;
        remote.clear_cave_of(&memory);
        Ok(Self { thread, memory })
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.thread.pid()
    }
}
