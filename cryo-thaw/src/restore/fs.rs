//! `FS  `: threads that do not have the working directory, root and umask of their process.

use cryo_format::section::fs::Fs;
use cryo_tracee::Host;

use super::process::Directory;
use crate::Result;
use crate::error::Doing;
use crate::identity::Paths;
use crate::options::Options;

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
