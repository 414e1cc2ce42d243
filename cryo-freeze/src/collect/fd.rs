//! Open descriptors, as /proc and the kernel show them.

use std::fs::{File, Metadata};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;

use cryo_format::prim::Addr;
use cryo_tracee::fds;
use cryo_tracee::proc::{self, FdDirs, FdInfo};

use super::{Scene, parallel};
use crate::Result;
use crate::error::About;

/// Descriptors that one thread of ours looks at; for more of them several do (see [`parallel`]).
pub const PER_THREAD: usize = 250;

/// One open descriptor.
pub struct Fd {
    /// Whose: a place among those who have a table of descriptors, the members first.
    pub holder: usize,
    /// In a family its process, for messages.
    process: Option<String>,
    /// Its number.
    pub fd: i32,
    /// What the link says.
    pub link: Vec<u8>,
    /// fstat(2).
    pub meta: Metadata,
    /// fdinfo.
    pub info: FdInfo,
    /// Who is told of input: F_OWNER_* kind, number, signal.
    pub owner: (i32, i32, i32),
}

/// All of a process, by number. It stands still, and with thousands of descriptors that is where the time goes.
pub fn look(scene: &Scene<'_>, pidfd: &OwnedFd) -> Result<Vec<Fd>> {
    let dirs = FdDirs::open(scene.live_tid)?;
    let numbers = proc::descriptors(scene.live_tid)?;
    parallel::side_by_side(&numbers, PER_THREAD, |numbers| {
        let mut buf = Vec::new();
        numbers.iter().map(|fd| Fd::of(scene, &dirs, pidfd, *fd, &mut buf)).collect()
    })
}

impl Fd {
    /// One of them.
    pub(super) fn of(scene: &Scene<'_>, dirs: &FdDirs, pidfd: &OwnedFd, fd: i32, buf: &mut Vec<u8>) -> Result<Self> {
        let (link, info) = (dirs.link(fd)?, dirs.info(fd, buf)?);
        let taken = fds::take(pidfd, fd)?;
        let owner = fds::owner(&taken)?;
        let meta = File::from(taken).metadata().about(|| format!("looking at fd {fd}"))?;
        let process = (scene.members > 1).then(|| scene.name());
        Ok(Self { holder: scene.member, process, fd, link, meta, info, owner })
    }

    /// With other words than its process for where it is.
    pub(super) fn of_process(mut self, words: String) -> Self {
        self.process = Some(words);
        self
    }

    /// `fd 7 (pipe:[123])`, for messages; in a family `fd 7 (pipe:[123]) of process 311 (cat)`.
    pub fn name(&self) -> String {
        match &self.process {
            Some(process) => format!("{} of {process}", self.short_name()),
            None => self.short_name(),
        }
    }

    /// `fd 7 (pipe:[123])`, where the process is named, too.
    pub fn short_name(&self) -> String {
        format!("fd {} ({})", self.fd, String::from_utf8_lossy(&self.link))
    }

    /// Its open(2) flags. Closing at exec is the descriptor's own affair, not the description's.
    pub fn open_flags(&self) -> Addr {
        Addr(self.info.flags() & !(libc::O_CLOEXEC as u64))
    }

    /// Is it this kind of the kernel's files without an inode of their own?
    pub fn is_anon(&self, kind: &str) -> bool {
        let name = self.link.strip_prefix(b"anon_inode:").unwrap_or_default();
        name.strip_prefix(b"[").and_then(|n| n.strip_suffix(b"]")).unwrap_or(name) == kind.as_bytes()
    }

    /// What must be equal for two descriptors to be one description: a cheap look before kcmp(2) is asked. What has no inode of its own is told
    /// apart by its kind, and eventfds by their number.
    pub fn looks(&self) -> (u64, u64, u64, i64, &[u8], i64) {
        let anon = self.link.strip_prefix(b"anon_inode:").unwrap_or_default();
        let number = if anon.is_empty() { 0 } else { self.info.number("eventfd-id").unwrap_or(0) };
        let position = self.info.number("pos").unwrap_or(0);
        (self.meta.dev(), self.meta.ino(), self.open_flags().0, position, anon, number)
    }
}
