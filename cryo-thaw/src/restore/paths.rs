//! Files by the paths in an image, which may be hostile: looked at and compared before they are opened, by the host and with no other rights than
//! the program's own.

use std::fs::{File, Metadata};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;

use cryo_format::section::process::Process;
use cryo_tracee::{Host, fds};

use super::descriptors::Table;
use crate::Result;
use crate::error::{About, refuse};
use crate::identity::Frozen;

const S_IFMT: u32 = 0o170_000;

/// File systems that make their inodes up as they are looked at (linux/magic.h): procfs, sysfs, debugfs, tracefs, cgroup, cgroup2. What a path means
/// there is what it was.
const MADE_UP: [i64; 6] = [0x9fa0, 0x6265_6572, 0x6462_6720, 0x7472_6163, 0x0027_e0eb, 0x6367_7270];

/// What a path leads to: held by O_PATH, which has no effect on whatever it is, and not opened yet.
pub struct Found {
    fd: u32,
    /// Where it is now.
    pub path: String,
    /// Did the person say so?
    pub mapped: bool,
    /// The host's O_PATH descriptor.
    pub handle: u64,
    /// fstat(2) of it.
    pub meta: Metadata,
    /// Is it of a file system whose inodes tell nothing?
    pub made_up: bool,
}

/// Looks a path up, where the person says that it is now. The kernel gave it without links, `.` and `..`, so the last component is not followed
/// if it has become a link.
pub fn find(host: &mut Host, table: &Table<'_>, fd: u32, path: &[u8]) -> Result<Found> {
    let way = format!("use --fd {fd}=FILE|null");
    let mapped = table.options.mapped(path);
    let own = own_proc(table, path);
    let path = mapped.as_deref().or(own.as_deref()).unwrap_or(path);
    let shown = String::from_utf8_lossy(path).into_owned();
    let mut flags = 0;
    if mapped.is_none() {
        let strange = |c: &[u8]| matches!(c, b"" | b"." | b"..");
        if path != b"/" && (!path.starts_with(b"/") || path[1..].split(|b| *b == b'/').any(strange)) {
            return refuse(format!("fd {fd} ({shown}): this is not a path as the kernel shows one: {way}"));
        }
        // /proc/self is one.
        flags |= if own.is_some() { 0 } else { libc::O_NOFOLLOW };
    }
    match look(host, table.pidfd(), path, flags)? {
        Ok(Held { handle, meta, made_up }) => {
            Ok(Found { fd, path: shown, mapped: mapped.is_some(), handle, meta, made_up })
        }
        Err(e) => refuse(format!("fd {fd}: {e}: bring the file back, or use --file-map {shown}=NEW or {}", &way[4..])),
    }
}

/// What a path leads to, held by the host.
pub struct Held {
    /// The host's O_PATH descriptor.
    pub handle: u64,
    /// fstat(2) of it.
    pub meta: Metadata,
    /// Is it of a file system whose inodes tell nothing?
    pub made_up: bool,
}

/// Looks a path up in the host. The outer error is ours, the inner one the path's.
pub fn look(host: &mut Host, pidfd: &OwnedFd, path: &[u8], flags: i32) -> Result<cryo_tracee::Result<Held>> {
    let handle = match open(host, path, flags | libc::O_PATH | libc::O_CLOEXEC)? {
        Ok(handle) => handle,
        Err(e) => return Ok(Err(e)),
    };
    let about = || format!("looking at {}", String::from_utf8_lossy(path));
    let ours = fds::take(pidfd, handle as i32)?;
    let made_up = MADE_UP.contains(&rustix::fs::fstatfs(&ours).about(about)?.f_type);
    Ok(Ok(Held { handle, meta: File::from(ours).metadata().about(about)?, made_up }))
}

/// What the process had open of itself in /proc is its own again, whatever its pid is now.
fn own_proc(table: &Table<'_>, path: &[u8]) -> Option<Vec<u8>> {
    let pid = table.frost.get::<Process>(table.process)?.pid;
    let rest = path.strip_prefix(format!("/proc/{pid}").as_bytes()).filter(|r| r.is_empty() || r[0] == b'/')?;
    Some([b"/proc/self", rest].concat())
}

impl Found {
    /// Refuses another type of file, or another device.
    pub fn must_be(&self, mode: u32, rdev: u64) -> Result<()> {
        if self.meta.mode() & S_IFMT == mode & S_IFMT && self.meta.rdev() == rdev {
            return Ok(());
        }
        refuse(format!(
            "fd {} ({}): it is another kind of file than it was: use --fd {}=FILE|null",
            self.fd, self.path, self.fd
        ))
    }

    /// Refuses another file than the one that was frozen, unless the person named it.
    pub fn must_be_file(&self, was: Frozen, table: &Table<'_>) -> Result<()> {
        match was.differs(&self.meta, table.paths.same_machine) {
            Some(why) if !self.mapped && !self.made_up => refuse(format!(
                "fd {0} ({1}): {why}: bring the right one back, or use --file-map {1}=NEW ({1}={1} if this one is right) or --fd {0}=FILE|null",
                self.fd, self.path
            )),
            _ => Ok(()),
        }
    }

    /// Opens what was looked at, and nothing else, and lets go of the handle.
    pub fn open(self, host: &mut Host, table: &Table<'_>, flags: i32) -> Result<u64> {
        let opened = open(host, format!("/proc/self/fd/{}", self.handle).as_bytes(), flags)?;
        host.call(libc::SYS_close, [self.handle, 0, 0, 0, 0, 0])?;
        match opened {
            Ok(fd) => Ok(fd),
            Err(e) if e.errno() == Some(libc::EACCES) => refuse(format!(
                "fd {0} ({1}): user {2} may not open it: open it for the program and use --fd {0}=inherit, or use --fd {0}=FILE|null",
                self.fd, self.path, table.paths.rights.uid
            )),
            Err(e) => {
                let why = e.errno().map_or_else(|| e.to_string(), |n| std::io::Error::from_raw_os_error(n).to_string());
                refuse(format!("fd {} ({}): {why}: use --fd {}=FILE|null", self.fd, self.path, self.fd))
            }
        }
    }
}

/// Opens what a descriptor of the host refers to once more.
pub fn reopen(host: &mut Host, fd: u64, flags: i32) -> Result<u64> {
    Ok(open(host, format!("/proc/self/fd/{fd}").as_bytes(), flags)??)
}

/// openat(2) in the host. The outer error is ours, the inner one the file's.
pub fn open(host: &mut Host, path: &[u8], flags: i32) -> Result<cryo_tracee::Result<u64>> {
    let mut batch = host.batch()?;
    let at = batch.put(&[path, b"\0"].concat());
    let call = batch.call(libc::SYS_openat, &[libc::AT_FDCWD as u64, at.addr, flags as u64, 0o600]);
    let done = host.run(batch)?;
    Ok(done.result(call).map_err(|e| match e.errno() {
        Some(errno) => cryo_tracee::Error::sys(
            format!("opening {}", String::from_utf8_lossy(path)),
            std::io::Error::from_raw_os_error(errno),
        ),
        None => e,
    }))
}
