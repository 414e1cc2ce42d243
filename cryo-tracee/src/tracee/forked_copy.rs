//! A forked copy of a process, as the snapshot: the original goes on while the copy's memory is read.
//!
//! The copy is made by a clone inside the original, from the stub: were we killed in that moment, it would run into the stub's int3 and end, never
//! into the program's code. It sends no signal when it ends (exit signal 0), so the program does not notice; but its exit status stays with the original
//! until somebody asks for it (__WALL), and that is done by a second, short stop.

use crate::interrupted::{self, Blocked};
use crate::mem::Memory;
use crate::proc;
use crate::remote::{Remote, Scratch};
use crate::stopped::Stopped;
use crate::sys::{self, Fault, Wait};
use crate::{Error, Result, signals};

/// The copy. Dropping it ends it and removes every trace of it from the original.
pub struct ForkedCopy {
    pid: i32,
    /// Its pid as the original sees it.
    inner: u64,
    /// The thread of the original that it was made by.
    parent: (i32, i32),
    thread: Option<Stopped>,
    /// Its memory.
    pub memory: Memory,
}

impl ForkedCopy {
    /// Copies the process whose thread `remote` has borrowed.
    pub fn of(remote: &mut Remote<'_>) -> Result<Self> {
        let parent = (remote.thread().pid(), remote.thread().tid());
        remote.thread().options(libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_TRACECLONE, Fault::Counted)?;
        let mut batch = remote.batch();
        let call = batch.call(libc::SYS_clone, &[0, 0, 0, 0, 0]);
        let result = remote.run(batch).and_then(|done| done.result(call));
        let born = remote.thread().take_child();
        let _ = remote.thread().options(libc::PTRACE_O_TRACESYSGOOD, Fault::Never);
        let pid = match (&result, born) {
            (_, Some(pid)) => pid,
            (Ok(pid), None) => *pid as i32,
            (Err(_), None) => return Err(result.err().unwrap_or(Error::Died(parent.0))),
        };
        let mut thread = Stopped::new(pid, pid);
        let settled = thread.settle().and_then(|()| thread.options(libc::PTRACE_O_EXITKILL, Fault::Counted));
        let memory = Memory::open(pid);
        let settled = settled.and_then(|()| close_descriptors(&mut thread, remote.scratch()));
        match (result, settled, memory) {
            (Ok(inner), Ok(()), Ok(memory)) => Ok(Self { pid, inner, parent, thread: Some(thread), memory }),
            (r, s, m) => {
                end(pid, Some(thread));
                // The status is left to the caller's own stop, which has ended the batch; it is asked for here at once.
                let _ = remote.call(libc::SYS_wait4, [pid as u64, 0, libc::__WALL as u64, 0, 0, 0]);
                Err(r.err().or(s.err()).or(m.err()).unwrap_or(Error::Died(pid)))
            }
        }
    }

    /// Asks for the exit status in the original, which stops for it once more.
    fn reap(&self) -> Result<()> {
        let _uninterrupted = signals::Uninterrupted::begin();
        let (pid, tid) = self.parent;
        let blocked = Blocked::look(pid);
        let mut thread = Stopped::seize(pid, tid)?;
        let memory = Memory::open(tid)?;
        interrupted::mend(&mut thread, &memory, &blocked)?;
        let maps = proc::mappings(tid)?;
        let mut remote = Remote::enter(&mut thread, &memory, &maps)?;
        remote.call(libc::SYS_wait4, [self.inner, 0, libc::__WALL as u64, 0, 0, 0]).map(drop)
    }
}

/// The copy holds nothing open: an end of a pipe that the original closes meanwhile is to be closed for all, a lock given up is given up.
fn close_descriptors(thread: &mut Stopped, scratch: Scratch) -> Result<()> {
    let memory = Memory::open(thread.pid())?;
    Remote::with_scratch(thread, &memory, scratch)?
        .call(libc::SYS_close_range, [0, u32::MAX.into(), 0, 0, 0, 0])
        .map(drop)
}

fn end(pid: i32, thread: Option<Stopped>) {
    let _ = signals::kill(pid, libc::SIGKILL);
    while !matches!(sys::wait(pid), Ok(Wait::Ended(_)) | Err(_)) {}
    std::mem::forget(thread);
}

impl Drop for ForkedCopy {
    fn drop(&mut self) {
        end(self.pid, self.thread.take());
        // An original that has ended meanwhile has taken the status with it.
        let _ = self.reap().or_else(|_| self.reap());
    }
}
