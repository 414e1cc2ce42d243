//! Is what a path leads to the file that was frozen?
//!
//! On the machine where it was frozen a file is its inode: it may have grown, or have been written to. (After a restart the device may have another
//! number: then the inode's number, the size and the time of change together say that nobody touched it.) On another machine every inode is another,
//! and a file is what it was if its type and size are; where the image has a build-id or a hash of it, these decide. The types of special files
//! and the numbers of devices must be right everywhere. What is another file is refused by name, and --file-map is the way out.

use std::collections::HashSet;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use cryo_format::section::files::OpenFile;
use cryo_format::section::objects::Object;
use cryo_format::section::origin::Origin;
use cryo_tracee::FsRights;
use rustix::fs::{major, minor};

use crate::ice::Ice;

/// How the paths of an image are followed.
#[derive(Clone, Copy, Debug)]
pub struct Paths<'a> {
    /// With these rights, the program's own.
    pub rights: &'a FsRights,
    /// See [`same_machine`].
    pub same_machine: bool,
    /// Objects whose files the person has named (--file-map): they are the right ones.
    pub named: &'a HashSet<u64>,
}

/// What an image tells of a file.
#[derive(Clone, Copy, Debug)]
pub struct Frozen {
    dev: u64,
    ino: u64,
    mode: u32,
    size: u64,
    /// Of what comes and goes no time is kept.
    changed: Option<(i64, u64)>,
}

impl From<&OpenFile> for Frozen {
    fn from(f: &OpenFile) -> Self {
        Self { dev: f.dev, ino: f.ino, mode: f.mode, size: f.size, changed: Some((f.mtime_sec, f.mtime_nsec)) }
    }
}

impl From<&Object> for Frozen {
    fn from(o: &Object) -> Self {
        Self { dev: o.dev, ino: o.ino, mode: o.mode, size: o.size, changed: Some((o.mtime_sec, o.mtime_nsec)) }
    }
}

/// Was the set frozen on this machine, under this kernel? Then inode numbers mean the same. (A machine of the same name and kernel that is another
/// one finds other inodes, and its files have to be named.)
pub fn same_machine(ice: &Ice) -> bool {
    let Some(then) = ice.get::<Origin>(0) else { return false };
    let now = rustix::system::uname();
    let kernel = [now.sysname(), now.release(), now.version()].map(std::ffi::CStr::to_bytes).join(&b' ');
    then.host.0 == now.nodename().to_bytes() && then.kernel.0 == kernel
}

/// What kind of file it is, for messages.
pub fn kind(mode: u32) -> &'static str {
    match mode & libc::S_IFMT {
        libc::S_IFREG => "a regular file",
        libc::S_IFDIR => "a directory",
        libc::S_IFLNK => "a symbolic link",
        libc::S_IFIFO => "a FIFO",
        libc::S_IFSOCK => "a socket",
        libc::S_IFCHR => "a character device",
        libc::S_IFBLK => "a block device",
        _ => "a file of a kind that this release does not know",
    }
}

impl Frozen {
    /// A directory or FIFO, which has no size that counts; `mode` is its type. Inode 0: the image is of the first release, which did not look.
    pub fn place(dev: u64, ino: u64, mode: u32) -> Self {
        Self { dev, ino, mode, size: 0, changed: None }
    }

    /// Is it the same inode?
    pub fn is_inode(&self, now: &Metadata) -> bool {
        let untouched = now.len() == self.size && self.changed == Some((now.mtime(), now.mtime_nsec() as u64));
        self.type_is(now) && now.ino() == self.ino && (now.dev() == self.dev || untouched)
    }

    /// Why it is another file; `None` if it is the one that was frozen, as far as that can be told.
    pub fn differs(&self, now: &Metadata, same_machine: bool) -> Option<String> {
        if !self.type_is(now) {
            return Some(format!("it is {}, it was {}", kind(now.mode()), kind(self.mode)));
        }
        if self.is_inode(now) || self.ino == 0 {
            return None;
        }
        if same_machine {
            let number = |dev: u64, ino: u64| format!("inode {ino} of device {}:{}", major(dev), minor(dev));
            let (is, was) = (number(now.dev(), now.ino()), number(self.dev, self.ino));
            return Some(format!("it is another file: {is}, it was {was}"));
        }
        let size = now.is_file() && now.len() != self.size;
        size.then(|| format!("it is another file: {} bytes here, {} when it was frozen", now.len(), self.size))
    }

    fn type_is(&self, now: &Metadata) -> bool {
        now.mode() & libc::S_IFMT == self.mode & libc::S_IFMT
    }
}
