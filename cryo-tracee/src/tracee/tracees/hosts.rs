//! How a thawed program comes under a [`Filter`]: its processes are [`Host`]s yet, and make the calls that put it in force themselves.

use super::Filter;
use crate::error::refuse;
use crate::{Host, RefusalKind, Result};

const SET_MODE_FILTER: u64 = 1;
const FLAG_TSYNC: u64 = 1;

impl Host {
    /// Puts the filter in force for all threads. It is to be the first that they have. As where a program is [started](super::start()): without the right to do
    /// so otherwise, they are also kept from gaining any by execve(2).
    pub fn put_under(&mut self, filter: &Filter) -> Result<()> {
        if !filter.no_new_privs {
            match self.install(filter) {
                Err(e) if e.errno() == Some(libc::EACCES) => {}
                other => return other,
            }
        }
        self.call(libc::SYS_prctl, [libc::PR_SET_NO_NEW_PRIVS as u64, 1, 0, 0, 0, 0])?;
        self.install(filter)
    }

    fn install(&mut self, filter: &Filter) -> Result<()> {
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
        let call = batch.call(libc::SYS_seccomp, &[SET_MODE_FILTER, FLAG_TSYNC, header.addr]);
        match self.run(batch)?.result(call)? {
            0 => Ok(()),
            tid => refuse(
                RefusalKind::Seccomp,
                format!("the filter of system calls could not be put in force for thread {tid}"),
            ),
        }
    }
}
