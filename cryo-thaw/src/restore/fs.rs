//! `FS  `: threads that do not have the working directory, root and umask of their process.

use cryo_format::section::fs::Fs;
use cryo_format::section::thread::Thread;
use cryo_tracee::Host;

use super::process::Directory;
use crate::Result;
use crate::error::{Doing, RefusalKind, refuse};
use crate::ice::Ice;
use crate::identity::Paths;
use crate::options::Options;

/// The place of the thread that makes the one of this local id, among the process's `threads`: the main one, or that with which it has these in common.
pub fn maker(ice: &Ice, id: u64, threads: &[(u64, Thread)]) -> Result<usize> {
    let Some(other) = ice.get::<Fs>(id).map(|fs| fs.shared_with).filter(|other| *other != 0) else { return Ok(0) };
    let own = ice.get::<Fs>(other).is_some_and(|fs| fs.shared_with == 0);
    let before = threads.iter().take_while(|(thread, _)| *thread != id).position(|(thread, _)| *thread == other);
    match before {
        Some(i) if own => Ok(i),
        _ => refuse(
            RefusalKind::Image,
            format!(
                "thread {id} has its working directory in common with {other}, which is no thread with one of its own before it"
            ),
        ),
    }
}

/// Parts thread `i` from what the process has, when it has just been made.
pub fn part(host: &mut Host, i: usize, fs: &Fs) -> Result<()> {
    if fs.shared_with != 0 {
        return Ok(());
    }
    let args = [libc::CLONE_FS as u64, 0, 0, 0, 0, 0];
    host.remote_at(i)?.call(libc::SYS_unshare, args).doing(|| "giving a thread a directory of its own".into()).map(drop)
}

/// Gives thread `i` what it had.
pub fn restore(host: &mut Host, i: usize, tid: u64, fs: &Fs, paths: Paths<'_>, options: &Options) -> Result<()> {
    if fs.shared_with != 0 {
        return Ok(());
    }
    let (cwd, root) = (format!("thread {tid}'s working directory"), format!("thread {tid}'s root directory"));
    Directory::new(cwd, &fs.cwd, (fs.cwd_dev, fs.cwd_ino)).enter(host, i, paths, options)?;
    Directory::new(root, &fs.root, (fs.root_dev, fs.root_ino)).make_root(host, i, paths, options)?;
    let args = [fs.umask.into(), 0, 0, 0, 0, 0];
    host.remote_at(i)?.call(libc::SYS_umask, args).doing(|| "setting a thread's umask".into()).map(drop)
}
