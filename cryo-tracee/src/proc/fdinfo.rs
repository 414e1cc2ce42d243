//! What /proc tells of the descriptors of a process.

use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use rustix::path::DecInt;

use crate::{Error, Result};

/// /proc/PID/fd and fdinfo, opened once for many descriptors.
pub struct FdDirs {
    fd: OwnedFd,
    info: OwnedFd,
}

impl FdDirs {
    /// Opens them.
    pub fn open(pid: i32) -> Result<Self> {
        let open = |name: &str| {
            let path = format!("/proc/{pid}/{name}");
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            rustix::fs::open(&path, flags, Mode::empty()).map_err(|e| Error::sys(format!("opening {path}"), e))
        };
        Ok(Self { fd: open("fd")?, info: open("fdinfo")? })
    }

    /// What the link of a descriptor says.
    pub fn link(&self, fd: i32) -> Result<Vec<u8>> {
        let link = rustix::fs::readlinkat(&self.fd, DecInt::new(fd), Vec::with_capacity(64));
        link.map(std::ffi::CString::into_bytes).map_err(|e| Error::sys(format!("reading the link of fd {fd}"), e))
    }

    /// Its fdinfo. `buf` is room for the text: one read brings all of it, unless it is full.
    pub fn info(&self, fd: i32, buf: &mut Vec<u8>) -> Result<FdInfo> {
        let what = || format!("reading fdinfo of fd {fd}");
        let file = rustix::fs::openat(&self.info, DecInt::new(fd), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        let file = file.map_err(|e| Error::sys(what(), e))?;
        buf.resize(buf.len().max(4096), 0);
        let mut len = 0;
        loop {
            len += rustix::io::read(&file, &mut buf[len..]).map_err(|e| Error::sys(what(), e))?;
            if len < buf.len() {
                return Ok(FdInfo(String::from_utf8_lossy(&buf[..len]).into_owned()));
            }
            buf.resize(buf.len() * 2, 0);
        }
    }
}

/// /proc/PID/fdinfo/FD.
pub struct FdInfo(pub String);

impl FdInfo {
    /// Reads it.
    pub fn of(pid: i32, fd: i32) -> Result<Self> {
        FdDirs::open(pid)?.info(fd, &mut Vec::new())
    }

    /// Values of the lines with this key.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.lines().filter_map(move |l| l.strip_prefix(key)?.strip_prefix(':')).map(str::trim)
    }

    /// A decimal value.
    pub fn number(&self, key: &str) -> Option<i64> {
        self.all(key).next()?.parse().ok()
    }

    /// The key of the first line that says something unheard of: what a later kernel keeps for such a file.
    pub fn unknown_key(&self) -> Option<&str> {
        const KNOWN: [&str; 21] = [
            "pos",
            "flags",
            "mnt_id",
            "ino",
            "lock",
            "scm_fds",
            "tty-index",
            "eventfd-count",
            "eventfd-id",
            "eventfd-semaphore",
            "clockid",
            "ticks",
            "settime flags",
            "it_value",
            "it_interval",
            "sigmask",
            "tfd",
            "inotify wd",
            "fanotify flags",
            "Pid",
            "NSpid",
        ];
        self.0
            .lines()
            .filter_map(|l| l.split_once(':'))
            .map(|(key, _)| key)
            .find(|key| !KNOWN.contains(key) && !key.starts_with("fanotify "))
    }

    /// Bits among the flags that are none of open(2)'s (O_EXCL is that of a pidfd of a thread): what a later kernel has added.
    pub fn unknown_flags(&self) -> Option<u64> {
        const KNOWN: i32 = libc::O_ACCMODE
            | libc::O_CREAT
            | libc::O_EXCL
            | libc::O_NOCTTY
            | libc::O_TRUNC
            | libc::O_APPEND
            | libc::O_NONBLOCK
            | libc::O_SYNC
            | libc::O_ASYNC
            | libc::O_DIRECT
            | 0o100_000 // O_LARGEFILE, which libc calls 0
            | libc::O_DIRECTORY
            | libc::O_NOFOLLOW
            | libc::O_NOATIME
            | libc::O_CLOEXEC
            | libc::O_PATH
            | libc::O_TMPFILE;
        Some(self.flags() & !(KNOWN as u64)).filter(|unknown| *unknown != 0)
    }

    /// open(2) flags, which stand there in octal.
    pub fn flags(&self) -> u64 {
        self.all("flags").next().and_then(|t| u64::from_str_radix(t, 8).ok()).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_a_later_kernel_shows_is_noticed() {
        let known = "pos:\t0\nflags:\t02\nmnt_id:\t15\nino:\t4\ninotify wd:1 ino:2e1 sdev:fe00000 mask:fff ignored_mask:0 fhandle-bytes:8\n";
        assert_eq!(FdInfo(known.into()).unknown_key(), None);
        let timer =
            "pos:\t0\nflags:\t02\nclockid: 0\nticks: 0\nsettime flags: 03\nit_value: (0, 7)\nit_interval: (1, 0)\n";
        assert_eq!(FdInfo(timer.into()).unknown_key(), None);
        assert_eq!(FdInfo(format!("{known}eventfd-colour: 3\n")).unknown_key(), Some("eventfd-colour"));
    }

    use super::*;

    /// As Linux 6.18 writes it.
    const LOCKED: &str = "pos:\t123\nflags:\t02100001\nmnt_id:\t27\nino:\t10018862\n\
        lock:\t1: FLOCK  ADVISORY  READ 25925 fe:00:10018862 0 EOF\nlock:\t2: POSIX  ADVISORY  WRITE 25925 fe:00:10018862 10 29\n";

    #[test]
    fn as_the_kernel_writes_it() {
        let info = FdInfo(LOCKED.into());
        assert_eq!((info.number("pos"), info.number("mnt_id")), (Some(123), Some(27)));
        assert_eq!(info.flags(), 0o2_100_001);
        assert_eq!(info.all("lock").count(), 2);
        assert_eq!(info.all("lock").last(), Some("2: POSIX  ADVISORY  WRITE 25925 fe:00:10018862 10 29"));
    }

    /// A key is a whole word at the beginning of a line; what is missing or too long is nothing, and what is there twice counts once.
    #[test]
    fn unusual() {
        let digits = "9".repeat(40);
        let info = FdInfo(format!(
            "ticks: {digits}\nmypos:\t1\n pos:\t2\nposition:\t3\npos 4\nino:\t-1\nino:\t7\nflags:\t09\n"
        ));
        assert_eq!((info.number("ticks"), info.number("pos"), info.number("mnt_id")), (None, None, None));
        assert_eq!(info.number("ino"), Some(-1));
        assert_eq!(info.flags(), 0);
        assert_eq!(FdInfo(String::new()).all("lock").count(), 0);
    }

    /// One read brings a text of any length.
    #[test]
    fn longer_than_the_first_buffer() {
        use std::os::fd::AsRawFd;
        let epoll = rustix::event::epoll::create(rustix::event::epoll::CreateFlags::CLOEXEC).unwrap();
        let mut ends = Vec::new();
        for n in 0..200 {
            let (a, b) = std::io::pipe().unwrap();
            let (data, flags) = (rustix::event::epoll::EventData::new_u64(n), rustix::event::epoll::EventFlags::IN);
            rustix::event::epoll::add(&epoll, &a, data, flags).unwrap();
            ends.push((a, b));
        }
        let info = FdInfo::of(std::process::id() as i32, epoll.as_raw_fd()).unwrap();
        assert!(info.0.len() > 4096);
        assert_eq!(info.all("tfd").count(), ends.len());
    }
}
