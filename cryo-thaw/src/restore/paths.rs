//! Files by the paths in an image, which may be hostile: looked at and compared before they are opened, by the host and with no other rights than
//! the program's own.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use cryo_format::section::family::Family;
use cryo_format::section::process::Process;
use cryo_tracee::Host;
use rustix::fs::{major, minor};

use super::open::{Held, held, look, open};
use super::table::Table;
use crate::Result;
use crate::error::{RefusalKind, refuse};
use crate::file_map;
use crate::identity::{Frozen, kind};

const S_IFMT: u32 = 0o170_000;

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
    let in_image = path;
    let path = mapped.as_deref().or(own.as_deref()).unwrap_or(path);
    let shown = String::from_utf8_lossy(path).into_owned();
    let mut flags = 0;
    if mapped.is_none() {
        if !is_the_kernels(path) {
            return refuse(
                RefusalKind::File,
                format!("fd {fd} ({shown}): this is not a path as the kernel shows one: {way}"),
            );
        }
        // /proc/self is one.
        flags |= if own.is_some() { 0 } else { libc::O_NOFOLLOW };
    }
    match look(host, table.pidfd(), path, flags)? {
        Ok(held) => Ok(Found::of(fd, path, mapped.is_some(), held)),
        Err(e) => refuse(
            RefusalKind::File,
            format!("fd {fd}: {e}: bring the file back, or use {} or {}", file_map::advice(in_image), &way[4..]),
        ),
    }
}

/// Is it a path as the kernel shows one: absolute, and nothing in it leads back?
pub fn is_the_kernels(path: &[u8]) -> bool {
    let strange = |c: &[u8]| matches!(c, b"" | b"." | b"..");
    path == b"/" || (path.starts_with(b"/") && !path[1..].split(|b| *b == b'/').any(strange))
}

/// Of a path to something in /proc of a process: its pid, and the rest of the path.
pub fn in_proc(path: &[u8]) -> Option<(u64, &[u8])> {
    let rest = path.strip_prefix(b"/proc/")?;
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let (pid, rest) = rest.split_at(digits);
    let whole = rest.first().is_none_or(|b| *b == b'/');
    std::str::from_utf8(pid).ok()?.parse().ok().filter(|_| whole).map(|pid| (pid, rest))
}

/// What the process had open of itself in /proc is its own again, whatever its pid is now.
fn own_proc(table: &Table<'_>, path: &[u8]) -> Option<Vec<u8>> {
    let own = table.frost.get::<Process>(table.process)?.pid;
    let (_, rest) = in_proc(path).filter(|(pid, _)| *pid == own)?;
    Some([b"/proc/self", rest].concat())
}

/// Of a path to something in /proc of another process of the image than the root: that process's pid as it was, and the rest of the path.
pub fn of_member<'p>(table: &Table<'_>, path: &'p [u8]) -> Option<(u64, &'p [u8])> {
    let (pid, rest) = in_proc(path).filter(|_| table.options.mapped(path).is_none())?;
    let root = table.frost.get::<Process>(table.root())?.pid;
    let mut members = table.frost.all::<Process>().map(|(_, p)| p.pid);
    let zombies = table.frost.get::<Family>(0).map_or(&[][..], |f| &f.zombies);
    let there = pid != root && (members.any(|p| p == pid) || zombies.iter().any(|z| z.pid == pid));
    there.then_some((pid, rest))
}

/// Of a path to a file in /proc of a process that is not there (any more): where any process has the like of its own.
pub fn of_ended_process(host: &mut Host, table: &Table<'_>, path: &[u8]) -> Result<Option<Vec<u8>>> {
    if table.options.mapped(path).is_some() || own_proc(table, path).is_some() {
        return Ok(None);
    }
    let Some((pid, rest)) = in_proc(path) else { return Ok(None) };
    // On another machine this is another process's number.
    if !table.paths.same_machine {
        table.options.notes.add(format!(
            "{}: process {pid} is not here: its file reads as that of one that has ended",
            String::from_utf8_lossy(path)
        ));
    } else if let Ok(held) = look(host, table.pidfd(), path, 0)? {
        host.call(libc::SYS_close, [held.handle, 0, 0, 0, 0, 0])?;
        return Ok(None);
    }
    // /proc/PID/task/TID.
    let of_thread =
        rest.strip_prefix(b"/task/").map(|rest| &rest[rest.iter().take_while(|b| b.is_ascii_digit()).count()..]);
    Ok(Some(match of_thread {
        Some(rest) => [b"/proc/thread-self", rest].concat(),
        None => [b"/proc/self", rest].concat(),
    }))
}

impl Found {
    fn of(fd: u32, path: &[u8], mapped: bool, Held { handle, meta, made_up }: Held) -> Self {
        Self { fd, path: String::from_utf8_lossy(path).into_owned(), mapped, handle, meta, made_up }
    }

    /// What the host holds by this handle: the path of an image led to it.
    pub fn at(table: &Table<'_>, fd: u32, path: &[u8], handle: u64) -> Result<Self> {
        Ok(Self::of(fd, path, false, held(table.pidfd(), path, handle)?))
    }

    /// Refuses another type of file, or another device.
    pub fn must_be(&self, mode: u32, rdev: u64) -> Result<()> {
        if self.meta.mode() & S_IFMT == mode & S_IFMT && self.meta.rdev() == rdev {
            return Ok(());
        }
        let what = |mode: u32, rdev: u64| match mode & S_IFMT {
            libc::S_IFCHR | libc::S_IFBLK => format!("{} ({}:{})", kind(mode), major(rdev), minor(rdev)),
            _ => kind(mode).to_owned(),
        };
        let (is, was) = (what(self.meta.mode(), self.meta.rdev()), what(mode, rdev));
        refuse(
            RefusalKind::File,
            format!("fd {} ({}): it is {is}, it was {was}: use --fd {}=FILE|null", self.fd, self.path, self.fd),
        )
    }

    /// Refuses another file than the one that was frozen, unless the person named it.
    pub fn must_be_file(&self, was: Frozen, table: &Table<'_>) -> Result<()> {
        match was.differs(&self.meta, table.paths.same_machine) {
            Some(why) if !self.mapped && !self.made_up => refuse(
                RefusalKind::File,
                format!(
                    "fd {0} ({1}): {why}: bring the right one back, or use {2} or --fd {0}=FILE|null",
                    self.fd,
                    self.path,
                    file_map::or_this(self.path.as_bytes())
                ),
            ),
            _ => Ok(()),
        }
    }

    /// Opens what was looked at, and nothing else, and lets go of the handle.
    pub fn open(self, host: &mut Host, table: &Table<'_>, flags: i32) -> Result<u64> {
        let opened = open(host, format!("/proc/thread-self/fd/{}", self.handle).as_bytes(), flags)?;
        host.call(libc::SYS_close, [self.handle, 0, 0, 0, 0, 0])?;
        match opened {
            Ok(fd) => Ok(fd),
            Err(e) if e.errno() == Some(libc::EACCES) => refuse(
                RefusalKind::File,
                format!(
                    "fd {0} ({1}): user {2} may not open it: open it for the program and use --fd {0}=inherit, or use --fd {0}=FILE|null",
                    self.fd, self.path, table.paths.rights.uid
                ),
            ),
            Err(e) => {
                let why = e.errno().map_or_else(|| e.to_string(), |n| std::io::Error::from_raw_os_error(n).to_string());
                refuse(
                    RefusalKind::File,
                    format!("fd {} ({}): {why}: use --fd {}=FILE|null", self.fd, self.path, self.fd),
                )
            }
        }
    }
}
