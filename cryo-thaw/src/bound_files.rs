//! Files of unix sockets: what bind(2) leaves in a directory, outside of the host. A thaw that fails takes away what it made.
//!
//! A directory may be another user's, who may put anything at any name at any time. So all is done with the program's own rights, by a descriptor
//! of the directory and the last component, which is not followed; and nothing is removed that is not the inode that was made.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use cryo_tracee::{FsRights, sockets};
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Stat, Uid};
use rustix::io::Errno;

use crate::Result;
use crate::error::{About, RefusalKind, refuse};
use crate::notes::Notes;

/// A name in a directory that is held.
pub struct Place {
    dir: OwnedFd,
    name: OsString,
    path: String,
}

/// A socket's file that was made.
pub struct BoundFile {
    place: Place,
    inode: (u64, u64),
}

/// Those that go again if the thaw does not come about.
pub struct BoundFiles {
    files: Vec<Rc<BoundFile>>,
    /// Directories that were made for some of them, outer ones first.
    directories: Vec<PathBuf>,
    rights: FsRights,
    notes: Notes,
}

impl BoundFiles {
    /// None yet; they are made, and removed, with these rights.
    pub fn new(rights: FsRights, notes: Notes) -> Self {
        Self { files: Vec::new(), directories: Vec::new(), rights, notes }
    }

    /// One more.
    pub fn add(&mut self, file: BoundFile) -> Rc<BoundFile> {
        let file = Rc::new(file);
        self.files.push(Rc::clone(&file));
        file
    }

    /// A directory that was missing on the way to the next.
    pub fn add_directory(&mut self, path: PathBuf) {
        self.directories.push(path);
    }

    /// Removes the directories, with the rights that the caller has taken on, when nothing is in them any more.
    pub fn remove_directories(&mut self) {
        for dir in self.directories.drain(..).rev() {
            if let Err(e) = std::fs::remove_dir(&dir) {
                self.notes.add(format!("removing {}: {e}", dir.display()));
            }
        }
    }

    /// The thaw came about: they stay.
    pub fn keep(mut self) {
        self.files.clear();
    }
}

impl Drop for BoundFiles {
    fn drop(&mut self) {
        if self.files.is_empty() && self.directories.is_empty() {
            return;
        }
        let rights = self.rights.clone();
        let Ok(_entered) = rights.enter() else { return };
        for file in self.files.drain(..) {
            if let Err(e) = file.remove() {
                self.notes.add(e.to_string());
            }
        }
        self.remove_directories();
    }
}

impl Place {
    /// The directory is looked up with the caller's rights.
    pub fn of(path: &[u8]) -> Result<Self> {
        let shown = String::from_utf8_lossy(path).into_owned();
        let whole = Path::new(OsStr::from_bytes(path));
        let (Some(dir), Some(name)) = (whole.parent(), whole.file_name()) else {
            return refuse(RefusalKind::Socket, format!("unix socket {shown}: this is no name of a file"));
        };
        let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir =
            rustix::fs::open(dir, flags, Mode::empty()).about(|| format!("unix socket {shown}: its directory"))?;
        Ok(Self { dir, name: name.to_owned(), path: shown })
    }

    /// What is there, not followed.
    fn stat(&self) -> Result<Option<Stat>> {
        match rustix::fs::statat(&self.dir, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(e).about(|| format!("unix socket {}: looking at it", self.path)),
        }
    }

    /// The file that a program which has ended left behind makes room, if it is a socket, the program's own, and nobody's any more. Nothing else is
    /// removed.
    pub fn clear(&self, rights: &FsRights) -> Result<()> {
        let Some(stat) = self.stat()? else { return Ok(()) };
        let ours = rights.uid == 0 || stat.st_uid == rights.uid;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Socket || !ours {
            return refuse(
                RefusalKind::Socket,
                format!(
                    "unix socket {}: there is {} of this name: move it away, or use --fd N=null|FILE for the socket",
                    self.path,
                    if ours { "a file" } else { "somebody else's file" }
                ),
            );
        }
        // A datagram socket may try any socket without being noticed: where somebody is, the answer is "wrong type", or yes.
        let probe = sockets::socket(libc::AF_UNIX as u32, libc::SOCK_DGRAM as u32, 0)?;
        let by_dir = format!("/proc/self/fd/{}/", self.dir.as_raw_fd());
        let name = [by_dir.as_bytes(), self.name.as_bytes()].concat();
        match sockets::connect(&probe, &address(&name)) {
            Err(e) if e.errno() == Some(libc::ECONNREFUSED) => self.remove(inode(&stat)),
            _ => refuse(
                RefusalKind::Socket,
                format!(
                    "unix socket {}: another program has this name: end it, or use --fd N=null|FILE for the socket",
                    self.path
                ),
            ),
        }
    }

    /// The socket's file that was made here just now.
    pub fn bound(self) -> Result<BoundFile> {
        match self.stat()?.filter(|s| FileType::from_raw_mode(s.st_mode) == FileType::Socket) {
            Some(stat) => Ok(BoundFile { inode: inode(&stat), place: self }),
            None => refuse(
                RefusalKind::Socket,
                format!("unix socket {}: its file was taken away as soon as it was made", self.path),
            ),
        }
    }

    /// Removes the file, if it is this one.
    fn remove(&self, wanted: (u64, u64)) -> Result<()> {
        if self.stat()?.is_none_or(|stat| inode(&stat) != wanted) {
            return Ok(());
        }
        rustix::fs::unlinkat(&self.dir, &self.name, AtFlags::empty()).about(|| format!("removing {}", self.path))
    }
}

impl BoundFile {
    /// Removes it, if it is still there.
    pub fn remove(&self) -> Result<()> {
        self.place.remove(self.inode)
    }

    /// Gives it to its owner; `made` is the inode number of the file that the kernel says was bound. What stands there is held first, so that it is
    /// this file, or none, that changes hands.
    pub fn give(&self, notes: &Notes, uid: u32, gid: u32, made: Option<u32>) -> Result<()> {
        let about = || format!("unix socket {}: giving it to its owner", self.place.path);
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let held = rustix::fs::openat(&self.place.dir, &self.place.name, flags, Mode::empty()).about(about)?;
        let stat = rustix::fs::fstat(&held).about(about)?;
        if (stat.st_uid, stat.st_gid) == (uid, gid) {
            return Ok(());
        }
        let is_socket = FileType::from_raw_mode(stat.st_mode) == FileType::Socket;
        if !is_socket || inode(&stat) != self.inode || made != Some(stat.st_ino as u32) {
            return refuse(
                RefusalKind::Socket,
                format!("unix socket {}: another file has taken its place", self.place.path),
            );
        }
        let ids = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        match rustix::fs::chownat(&held, "", ids.0, ids.1, AtFlags::EMPTY_PATH) {
            // An ordinary user's thaw: it is the user's own.
            Err(Errno::PERM) => {
                notes.add(format!(
                    "unix socket {}: it belonged to user {uid}, group {gid}, and belongs to user {}, group {} here",
                    self.place.path, stat.st_uid, stat.st_gid
                ));
                Ok(())
            }
            done => done.about(about),
        }
    }
}

fn inode(stat: &Stat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}

/// Room for a name (sizeof sun_path).
pub const NAME: usize = 108;

/// `struct sockaddr_un`.
pub fn address(name: &[u8]) -> Vec<u8> {
    let mut a = (libc::AF_UNIX as u16).to_le_bytes().to_vec();
    a.extend_from_slice(name);
    if name.first().is_some_and(|b| *b != 0) && name.len() < NAME {
        a.push(0);
    }
    a
}
