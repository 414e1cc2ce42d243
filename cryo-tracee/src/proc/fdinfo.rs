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

    /// open(2) flags, which stand there in octal.
    pub fn flags(&self) -> u64 {
        self.all("flags").next().and_then(|t| u64::from_str_radix(t, 8).ok()).unwrap_or(0)
    }
}
