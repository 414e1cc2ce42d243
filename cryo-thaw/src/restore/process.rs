//! `PROC`: who the process is.

use cryo_format::prim::Bytes;
use cryo_format::section::process::{Process, ProcessFlags};
use cryo_tracee::{Host, fds};

use super::open;
use crate::Result;
use crate::error::{About, Doing, RefusalKind, refuse};
use crate::file_map;
use crate::identity::{Frozen, Paths};
use crate::notes::Notes;
use crate::options::Options;

/// linux/prctl.h; libc lacks it.
const PR_SET_MDWE: u64 = 65;

/// The umask. The personality was there from the host's start.
pub fn restore(host: &mut Host, process: &Process) -> Result<()> {
    host.call(libc::SYS_umask, [process.umask.into(), 0, 0, 0, 0, 0]).doing(|| "setting its umask".into()).map(drop)
}

/// A directory that is a process's or a thread's.
pub(super) struct Directory<'a> {
    /// Whose, and which: for messages.
    what: String,
    path: &'a Bytes,
    was: Frozen,
}

impl<'a> Directory<'a> {
    /// `what` is it, at this path, with this st_dev and st_ino.
    pub fn new(what: String, path: &'a Bytes, (dev, ino): (u64, u64)) -> Self {
        Self { what, path, was: Frozen::place(dev, ino, libc::S_IFDIR) }
    }

    /// Has thread `i` go there.
    pub fn enter(&self, host: &mut Host, i: usize, paths: Paths<'_>, options: &Options) -> Result<()> {
        let Self { what, path, .. } = self;
        let held = self.hold(host, paths, options)?;
        let mut batch = host.batch()?;
        let chdir = batch.call(libc::SYS_fchdir, &[held]);
        batch.call(libc::SYS_close, &[held]);
        let done = host.remote_at(i)?.run(batch)?;
        if let Err(e) = done.result(chdir) {
            let e = e.during(format!("{what} {path}"));
            return refuse(RefusalKind::File, format!("{e}: bring it back, or use {}", file_map::advice(path)));
        }
        done.all().doing(|| format!("entering {what} {path}"))
    }

    /// Makes it the root directory of thread `i`, if it was not ours. All that has a path is open by now, and the working directory stays.
    pub fn make_root(&self, host: &mut Host, i: usize, paths: Paths<'_>, options: &Options) -> Result<()> {
        let Self { what, path, .. } = self;
        if path.is_empty() || path[..] == *b"/" {
            return Ok(());
        }
        let root = self.hold(host, paths, options)?;
        let mut batch = host.batch()?;
        let held = batch.put(format!("/proc/self/fd/{root}\0").as_bytes());
        let chroot = batch.call(libc::SYS_chroot, &[held.addr]);
        batch.call(libc::SYS_close, &[root]);
        match host.remote_at(i)?.run(batch)?.result(chroot).map_err(|e| e.errno()) {
            Ok(_) => Ok(()),
            Err(Some(libc::EPERM)) => refuse(
                RefusalKind::Permission,
                format!("{what} is {path}: to give it that (chroot) takes root: thaw it as root"),
            ),
            Err(errno) => {
                let why = errno.map_or_else(String::new, |e| format!(": {}", std::io::Error::from_raw_os_error(e)));
                refuse(
                    RefusalKind::File,
                    format!("{what} {path}{why}: bring it back, or use {}", file_map::advice(path)),
                )
            }
        }
    }

    /// A directory of the program's, held by the host (O_PATH), if it is the one that it was or the person names it. The kernel gave its path without
    /// links, so the last component is not followed if it has become one.
    fn hold(&self, host: &mut Host, paths: Paths<'_>, options: &Options) -> Result<u64> {
        let Self { what, path, was } = self;
        let mapped = options.mapped(path);
        let flags = libc::O_DIRECTORY | if mapped.is_some() { 0 } else { libc::O_NOFOLLOW };
        let pidfd = fds::pidfd(host.pid())?;
        let shown = String::from_utf8_lossy(path);
        let held = match open::look(host, &pidfd, mapped.as_deref().unwrap_or(path), flags)? {
            Ok(held) => held,
            Err(e) => {
                return refuse(
                    RefusalKind::File,
                    format!("{what}: {e}: bring it back, or use {}", file_map::advice(path)),
                );
            }
        };
        match was.differs(&held.meta, paths.same_machine) {
            Some(why) if mapped.is_none() && !held.made_up => refuse(
                RefusalKind::File,
                format!("{what} {shown}: {why}: bring the right one back, or use {}", file_map::or_this(path)),
            ),
            _ => Ok(held.handle),
        }
    }
}

/// The working directory.
pub fn enter_directory(host: &mut Host, process: &Process, paths: Paths<'_>, options: &Options) -> Result<()> {
    let place = (process.cwd_dev, process.cwd_ino);
    Directory::new("its working directory".into(), &process.cwd, place).enter(host, 0, paths, options)
}

/// The root directory.
pub fn enter_root(host: &mut Host, process: &Process, paths: Paths<'_>, options: &Options) -> Result<()> {
    let place = (process.root_dev, process.root_ino);
    Directory::new("its root directory".into(), &process.root, place).make_root(host, 0, paths, options)
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

/// What prctl(2) and personality(2) set, when nobody's credentials change any more. Where the memory `goes_on` to be worked on, in another process that has
/// it in common, what holds for that is left to the last of them.
pub fn finish(host: &mut Host, process: &Process, goes_on: bool) -> Result<()> {
    let mut batch = host.batch()?;
    let has = |flag| process.flags & flag != 0;
    if has(ProcessFlags::CHILD_SUBREAPER) {
        batch.call(libc::SYS_prctl, &[libc::PR_SET_CHILD_SUBREAPER as u64, 1]);
    }
    // A loader clears some bits of it, and a change of user the permission to dump.
    batch.call(libc::SYS_personality, &[process.personality]);
    let dumpable = goes_on || !has(ProcessFlags::NOT_DUMPABLE);
    batch.call(libc::SYS_prctl, &[libc::PR_SET_DUMPABLE as u64, dumpable.into()]);
    let mdwe = u64::from(has(ProcessFlags::MDWE_REFUSE_EXEC_GAIN)) | u64::from(has(ProcessFlags::MDWE_NO_INHERIT)) << 1;
    if mdwe != 0 && !goes_on {
        batch.call(libc::SYS_prctl, &[PR_SET_MDWE, mdwe]);
    }
    host.run(batch)?.all().doing(|| "setting its personality and what prctl(2) sets".into())
}
