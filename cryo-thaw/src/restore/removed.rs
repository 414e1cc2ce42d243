//! `RMVD`: directories and symbolic links that were removed: made anew where they were, opened, and removed again.
//!
//! They are made outside of the host, under its rights, so that they go again whatever happens to it meanwhile; and it is looked whether what the
//! host opened is what was made, since the directory may be another user's.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use cryo_format::section::files::OpenFile;
use cryo_format::section::process::Process;
use cryo_format::section::removed::Removed;
use cryo_tracee::{FsRights, Host};
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

use super::open::{open, reopen, set_flags};
use super::table::Table;
use crate::Result;
use crate::error::{About, RefusalKind, reason, refuse};
use crate::notes::Notes;

/// Under which role an inode is parked, by its id.
const INODE: u8 = 0;

/// Flags with which a description of one was opened.
const FLAGS: i32 = libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW;

/// Opens it for a description of `FILE`, if that is one of a removed inode.
pub fn restore(host: &mut Host, table: &mut Table<'_>, _fd: u32, id: u64) -> Result<Option<u64>> {
    let Some(file) = table.section::<OpenFile>(id) else { return Ok(None) };
    let Some((inode, removed)) = table.removed(file.dev, file.ino) else { return Ok(None) };
    let parked = parked(host, table, inode, removed)?;
    let flags = file.open_flags.0 as i32;
    if !removed.is_directory() || flags & libc::O_PATH != 0 && flags & libc::O_NOFOLLOW != 0 {
        return Ok(Some(table.duplicate(host, parked)?));
    }
    let opened = reopen(host, parked, flags & (FLAGS | libc::O_NOATIME) & !libc::O_NOFOLLOW | libc::O_CLOEXEC)?;
    if flags & libc::O_PATH == 0 {
        set_flags(host, opened, file.open_flags.0)?;
    }
    Ok(Some(opened))
}

/// Makes those that are working directories, in the first process: the others are born with them.
pub fn prepare(host: &mut Host, table: &mut Table<'_>) -> Result<()> {
    for (inode, removed) in table.all::<Removed>().into_iter().filter(|(_, r)| r.cwd != 0) {
        parked(host, table, inode, removed)?;
    }
    Ok(())
}

/// Goes there, if the working directory of the process was removed.
pub fn enter(host: &mut Host, table: &mut Table<'_>, process: &Process) -> Result<bool> {
    // Version 1 of PROC, of a set of one, does not say which directory that is.
    let unsaid = || table.all::<Removed>().into_iter().find(|(_, r)| r.cwd != 0 && process.cwd_ino == 0);
    let Some((inode, removed)) = table.removed(process.cwd_dev, process.cwd_ino).or_else(unsaid) else {
        return Ok(false);
    };
    let parked = parked(host, table, inode, removed)?;
    host.call(libc::SYS_fchdir, [parked, 0, 0, 0, 0, 0])?;
    Ok(true)
}

/// The inode, held by the host: one for all who have it.
fn parked(host: &mut Host, table: &mut Table<'_>, inode: u64, removed: &Removed) -> Result<u64> {
    if let Some(parked) = table.parked(inode, INODE) {
        return Ok(parked);
    }
    let what = || format!("{} (deleted)", removed.path);
    let name = format!("cryo-{}-{inode}", host.pid());
    let mut made = None;
    for path in places(&removed.path, &name) {
        made = Temporary::make(&path, removed, table.paths.rights, &table.options.notes).ok();
        if made.is_some() {
            break;
        }
    }
    let Some(made) = made else {
        return refuse(
            RefusalKind::File,
            format!("{}: there is no place where one could be made: free {} for it", what(), removed.path),
        );
    };
    let flags = libc::O_PATH | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    let handle = match open(host, made.path.as_os_str().as_bytes(), flags)? {
        Ok(handle) => handle,
        Err(e) => return refuse(RefusalKind::File, format!("{}: {e}", what(), e = reason(&e))),
    };
    let held = table.take(handle)?;
    let meta = std::fs::File::from(held.try_clone().about(what)?).metadata().about(what)?;
    if (meta.dev(), meta.ino()) != made.inode {
        return refuse(
            RefusalKind::File,
            format!("{}: another file took the place of the one that was made for it", what()),
        );
    }
    drop(made);
    give(&held, removed).about(what)?;
    if (meta.uid(), meta.gid()) != (removed.uid, removed.gid) && !own(&held, removed).about(what)? {
        table.options.notes.add(format!(
            "{}: it belonged to user {}, group {}, and belongs to user {}, group {} here",
            what(),
            removed.uid,
            removed.gid,
            meta.uid(),
            meta.gid()
        ));
    }
    table.keep(host, inode, INODE, handle)
}

/// Where it may be made: where it was, so that /proc shows its old name; beside it, or above; at last in /tmp.
fn places(path: &[u8], name: &str) -> Vec<PathBuf> {
    let path = Path::new(OsStr::from_bytes(path));
    let above = path.ancestors().skip(1).filter(|dir| dir.is_absolute()).map(|dir| dir.join(name));
    let there = path.is_absolute().then(|| path.to_owned());
    there.into_iter().chain(above).chain([Path::new("/tmp").join(name)]).collect()
}

/// Its permissions; a link has none.
fn give(held: &OwnedFd, removed: &Removed) -> std::io::Result<()> {
    if !removed.is_directory() {
        return Ok(());
    }
    let permissions = std::fs::Permissions::from_mode(removed.mode & 0o7777);
    std::fs::set_permissions(format!("/proc/self/fd/{}", held.as_raw_fd()), permissions)
}

/// Its owner; false if that is not ours to give.
fn own(held: &OwnedFd, removed: &Removed) -> std::io::Result<bool> {
    let ids = (Some(Uid::from_raw(removed.uid)), Some(Gid::from_raw(removed.gid)));
    match rustix::fs::chownat(held, "", ids.0, ids.1, AtFlags::EMPTY_PATH) {
        Ok(()) => Ok(true),
        Err(Errno::PERM) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// A directory or link that was made just now, and that is removed again when this is dropped.
struct Temporary<'r> {
    dir: OwnedFd,
    name: OsString,
    path: PathBuf,
    inode: (u64, u64),
    directory: bool,
    rights: &'r FsRights,
    notes: &'r Notes,
}

impl<'r> Temporary<'r> {
    fn make(path: &Path, removed: &Removed, rights: &'r FsRights, notes: &'r Notes) -> Result<Self> {
        let about = || format!("making {}", path.display());
        let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
            return refuse(RefusalKind::File, about());
        };
        let _entered = rights.enter()?;
        let dir = rustix::fs::open(above, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        let dir = dir.about(about)?;
        let directory = removed.is_directory();
        if directory {
            rustix::fs::mkdirat(&dir, name, Mode::RWXU).about(about)?;
        } else {
            rustix::fs::symlinkat(OsStr::from_bytes(&removed.target), &dir, name).about(about)?;
        }
        let stat = rustix::fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW).about(about)?;
        let (name, path, inode) = (name.to_owned(), path.to_owned(), (stat.st_dev, stat.st_ino));
        Ok(Self { dir, name, path, inode, directory, rights, notes })
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        let Ok(_entered) = self.rights.enter() else { return };
        let flags = if self.directory { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        let there = rustix::fs::statat(&self.dir, &self.name, AtFlags::SYMLINK_NOFOLLOW);
        if there.is_ok_and(|stat| (stat.st_dev, stat.st_ino) == self.inode)
            && let Err(e) = rustix::fs::unlinkat(&self.dir, &self.name, flags)
        {
            self.notes.add(format!("removing {}: {e}", self.path.display()));
        }
    }
}
