//! How a thawed program comes under a [`Filter`]: its processes are [`Host`]s yet, and make the calls that put it in force themselves.

use super::Filter;
use super::listener::{Listener, wakes_here};
use crate::error::refuse;
use crate::{Host, RefusalKind, Result, fds};

const SET_MODE_FILTER: u64 = 1;
const FLAG_TSYNC: u64 = 1;
const FLAG_NEW_LISTENER: u64 = 1 << 3;
/// A thread that cannot have the filter is an error, and no result: that is the listener's.
const FLAG_TSYNC_ESRCH: u64 = 1 << 4;

impl Host {
    /// Puts the filter in force for all threads, and returns the listener that answers the calls which do not stop. It is to be the first that they have. As where
    /// a program is [started](super::start()): without the right to do so otherwise, they are also kept from gaining any by execve(2).
    pub fn put_under(&mut self, filter: &Filter) -> Result<Option<Listener>> {
        let filter = if wakes_here() { filter.clone() } else { filter.clone().without_listener() };
        if !filter.no_new_privs {
            match self.install(&filter) {
                Err(e) if e.errno() == Some(libc::EACCES) => {}
                other => return other,
            }
        }
        self.call(libc::SYS_prctl, [libc::PR_SET_NO_NEW_PRIVS as u64, 1, 0, 0, 0, 0])?;
        self.install(&filter)
    }

    fn install(&mut self, filter: &Filter) -> Result<Option<Listener>> {
        let mut program = Vec::with_capacity(filter.lines.len() * 8);
        for op in &filter.lines {
            program.extend_from_slice(&op.code.to_le_bytes());
            program.extend_from_slice(&[op.jt, op.jf]);
            program.extend_from_slice(&op.k.to_le_bytes());
        }
        let mut batch = self.batch_for(program.len() + 32)?;
        let at = batch.put(&program).addr;
        // struct sock_fprog
        let header = batch.put(&[filter.lines.len() as u64, at].map(u64::to_le_bytes).concat());
        let flags = if filter.asks() { FLAG_TSYNC | FLAG_TSYNC_ESRCH | FLAG_NEW_LISTENER } else { FLAG_TSYNC };
        let call = batch.call(libc::SYS_seccomp, &[SET_MODE_FILTER, flags, header.addr]);
        let result = self.run(batch)?.result(call)?;
        if filter.asks() {
            let listener = fds::take(&fds::pidfd(self.pid())?, result as i32)?;
            self.call(libc::SYS_close, [result, 0, 0, 0, 0, 0])?;
            return Ok(Some(Listener::of(listener)));
        }
        match result {
            0 => Ok(None),
            tid => refuse(
                RefusalKind::Seccomp,
                format!("the filter of system calls could not be put in force for thread {tid}"),
            ),
        }
    }
}
