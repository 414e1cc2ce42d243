//! `PROC`: who the process is.

use cryo_format::section::process::{Process, ProcessFlags};
use cryo_tracee::Host;

use crate::Result;
use crate::error::{About, refuse};
use crate::notes::Notes;

/// linux/prctl.h; libc lacks it.
const PR_SET_MDWE: u64 = 65;

/// Working directory, unless it is there already (`RMVD`), and umask. The personality was there from the host's start.
pub fn restore(host: &mut Host, process: &Process, in_removed: bool) -> Result<()> {
    let mut batch = host.batch()?;
    let cwd = if in_removed { b"." } else { &process.cwd[..] };
    let cwd = batch.put(&[cwd, b"\0"].concat());
    let chdir = batch.call(libc::SYS_chdir, &[cwd.addr]);
    batch.call(libc::SYS_umask, &[process.umask.into()]);
    let done = host.run(batch)?;
    if let Err(e) = done.result(chdir) {
        return refuse(format!("its working directory: {e}: bring it back, or use --file-map {}=NEW", process.cwd));
    }
    Ok(done.all()?)
}

/// The root directory, if it was not ours. All that has a path is open by now, and the working directory stays.
pub fn enter_root(host: &mut Host, process: &Process) -> Result<()> {
    if process.root.is_empty() || process.root[..] == *b"/" {
        return Ok(());
    }
    let mut batch = host.batch()?;
    let root = batch.put(&[&process.root[..], b"\0"].concat());
    let chroot = batch.call(libc::SYS_chroot, &[root.addr]);
    match host.run(batch)?.result(chroot).map_err(|e| e.errno()) {
        Ok(_) => Ok(()),
        Err(Some(libc::EPERM)) => refuse(format!(
            "its root directory is {}: to give it that (chroot) takes root: thaw it as root",
            process.root
        )),
        Err(errno) => {
            let why = errno.map_or_else(String::new, |e| format!(": {}", std::io::Error::from_raw_os_error(e)));
            refuse(format!("its root directory {}{why}: bring it back, or use --file-map {0}=NEW", process.root))
        }
    }
}

/// What is set from outside.
pub fn adjust(host: &Host, process: &Process, notes: &Notes) -> Result<()> {
    let path = format!("/proc/{}/oom_score_adj", host.pid());
    let wanted = (process.oom_score_adj.0 as i64 - 1000).to_string();
    let now = std::fs::read_to_string(&path).about(|| format!("reading {path}"))?;
    if now.trim() != wanted
        && let Err(e) = std::fs::write(&path, &wanted)
    {
        notes.add(format!("oom_score_adj {wanted}: {e}: left at {}", now.trim()));
    }
    Ok(())
}

/// What prctl(2) and personality(2) set, when nobody's credentials change any more.
pub fn finish(host: &mut Host, process: &Process) -> Result<()> {
    let mut batch = host.batch()?;
    let has = |flag| process.flags & flag != 0;
    if has(ProcessFlags::CHILD_SUBREAPER) {
        batch.call(libc::SYS_prctl, &[libc::PR_SET_CHILD_SUBREAPER as u64, 1]);
    }
    // A loader clears some bits of it, and a change of user the permission to dump.
    batch.call(libc::SYS_personality, &[process.personality]);
    batch.call(libc::SYS_prctl, &[libc::PR_SET_DUMPABLE as u64, u64::from(!has(ProcessFlags::NOT_DUMPABLE))]);
    let mdwe = u64::from(has(ProcessFlags::MDWE_REFUSE_EXEC_GAIN)) | u64::from(has(ProcessFlags::MDWE_NO_INHERIT)) << 1;
    if mdwe != 0 {
        batch.call(libc::SYS_prctl, &[PR_SET_MDWE, mdwe]);
    }
    Ok(host.run(batch)?.all()?)
}
