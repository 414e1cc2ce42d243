//! `PROC`: who the process is.

use cryo_format::section::process::{Process, ProcessFlags};
use cryo_tracee::Host;

use crate::Result;
use crate::error::refuse;

/// Working directory, umask, and what prctl(2) sets. The personality was there from the host's start.
pub fn restore(host: &mut Host, process: &Process) -> Result<()> {
    let mut batch = host.batch()?;
    let cwd = batch.put(&[&process.cwd[..], b"\0"].concat());
    let chdir = batch.call(libc::SYS_chdir, &[cwd.addr]);
    batch.call(libc::SYS_umask, &[process.umask.into()]);
    let has = |flag| process.flags & flag != 0;
    if has(ProcessFlags::CHILD_SUBREAPER) {
        batch.call(libc::SYS_prctl, &[libc::PR_SET_CHILD_SUBREAPER as u64, 1]);
    }
    if has(ProcessFlags::NO_NEW_PRIVS) {
        batch.call(libc::SYS_prctl, &[libc::PR_SET_NO_NEW_PRIVS as u64, 1]);
    }
    batch.call(libc::SYS_prctl, &[libc::PR_SET_PDEATHSIG as u64, process.parent_death_signal.into()]);
    let done = host.run(batch)?;
    if let Err(e) = done.result(chdir) {
        return refuse(format!("its working directory {}: {e}", process.cwd));
    }
    Ok(done.all()?)
}
