//! A userfaultfd of the process's memory that only we hold.
//!
//! The kernel makes it for whoever asks, of its own memory, and so the process has to ask. It has the descriptor for as long as it takes us to take it
//! over (pidfd_getfd(2)), and closes it by itself: all in one table, which it goes through whether we are still there or not. Which number it
//! gets is known only then; so one of the calls copies the result of the first into the arguments of the last.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use linux_raw_sys::general::UFFD_USER_MODE_ONLY;

use super::batch::{Batch, ENTRY, outcome};
use super::{DATA, PAGE, Remote, ids};
use crate::{Error, Result, fds};

/// For how long the process waits for us, in microseconds: the next where one was too short.
const WAITS: [u64; 4] = [200, 2_000, 20_000, 200_000];
/// What stands for the result before the call is made.
const NONE: u64 = u64::MAX >> 1;
/// Where the result of a call stands in its entry, and its first argument.
const RESULT: u64 = 56;
const ARGUMENT: u64 = 8;
/// The flags of userfaultfd(2).
const FLAGS: u64 = libc::O_CLOEXEC as u64 | UFFD_USER_MODE_ONLY as u64;

impl Remote<'_> {
    /// Makes one, which handles no faults of the kernel, as is allowed to every user. All threads of the process stand still.
    pub(crate) fn userfaultfd(&mut self) -> Result<OwnedFd> {
        let pid = self.thread.pid();
        let Some(status) = self.status.as_ref().filter(|_| self.thread.self_restoring().is_some()) else {
            let what = "no room for code of ours that would close a descriptor if we were killed".into();
            return Err(Error::NoRoom { pid, what });
        };
        let own_pid = ids(status).0;
        let pidfd = fds::pidfd(self.thread.tid())?;
        if self.thread.is_watched() {
            return self.watched_userfaultfd(&pidfd);
        }
        for wait in WAITS {
            if let Some(fd) = self.userfaultfd_within(wait, own_pid, &pidfd)? {
                return Ok(fd);
            }
        }
        Err(Error::NoRoom { pid, what: "its userfaultfd could not be taken over in time".into() })
    }

    /// The same in a family that ends with its tracer: nobody would be left with the descriptor.
    fn watched_userfaultfd(&mut self, pidfd: &OwnedFd) -> Result<OwnedFd> {
        let fd = self.call(libc::SYS_userfaultfd, [FLAGS, 0, 0, 0, 0, 0])?;
        let taken = fds::take(pidfd, fd as i32);
        self.call(libc::SYS_close, [fd, 0, 0, 0, 0, 0])?;
        taken
    }

    fn userfaultfd_within(&mut self, micros: u64, own_pid: i32, pidfd: &OwnedFd) -> Result<Option<OwnedFd>> {
        let table_at = self.scratch + PAGE + DATA;
        let entry = |call: usize| table_at + (call * ENTRY) as u64;
        let mut batch = self.batch();
        let words = |words: [u64; 2]| words.map(u64::to_le_bytes).concat();
        let (result, argument) =
            (batch.put(&words([entry(0) + RESULT, 8])), batch.put(&words([entry(3) + ARGUMENT, 8])));
        let time = batch.put(&words([0, micros * 1000]));
        batch.call(libc::SYS_userfaultfd, &[FLAGS]);
        batch.call(libc::SYS_process_vm_writev, &[own_pid as u64, result.addr, 1, argument.addr, 1, 0]);
        batch.call(libc::SYS_ppoll, &[0, 0, time.addr, 0, 8]);
        batch.call(libc::SYS_close, &[u64::MAX]);
        batch.calls[0][7] = NONE;

        self.mem.fill(batch.base, &batch.data)?;
        let mut table = batch.table();
        self.mem.fill(table_at, &table)?;
        self.send_off(batch.calls.len(), false, table_at)?;
        let taken = self.take_over(entry(0) + RESULT, Duration::from_micros(micros), pidfd);
        // Whatever came of that, the thread comes back.
        self.thread.wait_event()?;
        self.mem.read(table_at, &mut table)?;
        batch.take_results(&table);
        self.is_closed(&batch)?;
        taken
    }

    /// Waits until the descriptor is there, and takes it over; `None` if it was gone by then.
    fn take_over(&self, result_at: u64, wait: Duration, pidfd: &OwnedFd) -> Result<Option<OwnedFd>> {
        let begin = Instant::now();
        let mut word = NONE.to_le_bytes();
        while u64::from_le_bytes(word) == NONE && begin.elapsed() < wait + Duration::from_secs(1) {
            self.mem.read(result_at, &mut word)?;
        }
        let word = u64::from_le_bytes(word);
        if word == NONE {
            return Ok(None);
        }
        let Ok(fd) = outcome(word) else { return Ok(None) };
        match fds::take(pidfd, fd as i32) {
            Ok(taken) => {
                let link = rustix::fs::readlink(
                    format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&taken)),
                    Vec::new(),
                );
                Ok(link.is_ok_and(|link| link.to_bytes() == b"anon_inode:[userfaultfd]").then_some(taken))
            }
            Err(e) if e.errno() == Some(libc::EBADF) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// An error if none was made, or if the process has kept it.
    fn is_closed(&mut self, batch: &Batch) -> Result<()> {
        let pid = self.thread.pid();
        let made = outcome(batch.calls[0][7]);
        let fd = made.map_err(|e| Error::sys(format!("making a userfaultfd inside process {pid}"), e))?;
        match outcome(batch.calls[3][7]) {
            Ok(_) => Ok(()),
            Err(_) => self.call(libc::SYS_close, [fd, 0, 0, 0, 0, 0]).map(drop),
        }
    }
}
