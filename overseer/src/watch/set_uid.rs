//! `--set-uid`: what becomes of a program that would run with other rights than those of who executes it: set-user-ID, set-group-ID, file capabilities.
//!
//! That it gains none is the kernel's promise (no_new_privs, [`Filter::without_privileges`]); here it is seen beforehand, refused if that is wished, and told.

use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use cryo_tracee::Stopped;
use cryo_tracee::proc::Status;
use cryo_tracee::tracees::{Call, Filter};
use rustix::fs::{Mode, OFlags, ResolveFlags, StatVfsMountFlags, fstatvfs, getxattr, openat2};
use rustix::io::fcntl_dupfd_cloexec;
use serde::Serialize;

use super::calls;
use super::record::What;

/// What becomes of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum SetUid {
    /// What the kernel does: root's runs with the rights, another user's without
    #[default]
    Allow,
    /// It runs without
    Without,
    /// It is not executed: EPERM
    Refuse,
}

/// What has become of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It runs with the rights.
    Allowed,
    /// It runs without.
    Without,
    /// It was not executed.
    Refused,
}

/// execve(2): so many interpreters of interpreters.
const INTERPRETERS: usize = 5;
const AT_FDCWD: i32 = -100;

/// The choice, and where it is told.
pub struct Rights {
    choice: SetUid,
    words: Option<File>,
}

impl Rights {
    /// Where something was chosen, it is told on our standard error.
    pub fn new(choice: SetUid) -> Self {
        let words = || fcntl_dupfd_cloexec(std::io::stderr(), 3).ok().map(File::from);
        Self { choice, words: if choice == SetUid::Allow { None } else { words() } }
    }

    /// The filter of a program for which this was chosen.
    pub fn filter(&self, pids: bool) -> Filter {
        let filter = calls::filter(pids);
        if self.choice == SetUid::Allow { filter } else { filter.without_privileges() }
    }

    /// The descriptor that is told to, if there is one.
    pub fn fd(&self) -> Option<RawFd> {
        self.words.as_ref().map(AsRawFd::as_raw_fd)
    }

    /// Nobody is told any more: what is open here holds nobody up.
    pub fn hush(&mut self) {
        self.words = None;
    }

    /// If this call executes such a program: what becomes of it. One that is refused has its result.
    pub fn executes(&mut self, call: &Call, thread: &mut Stopped) -> Option<What> {
        let (dir, at) = match calls::name(call)? {
            "execve" => (AT_FDCWD, call.args[0]),
            "execveat" => (call.args[0] as i32, call.args[1]),
            _ => return None,
        };
        let path = thread.peek_string(at)?;
        let why = gains(thread.tid(), dir, &path)?;
        let bound = Status::of(thread.tid()).is_ok_and(|status| status.number("NoNewPrivs") == Some(1));
        let fate = match self.choice {
            SetUid::Refuse if refuse(thread) => Fate::Refused,
            _ if bound => Fate::Without,
            _ => Fate::Allowed,
        };
        let shown = String::from_utf8_lossy(&path).escape_debug().to_string();
        let done = match fate {
            Fate::Allowed => "it runs with that",
            Fate::Without => "it runs without that (--set-uid without)",
            Fate::Refused => "it was not executed (--set-uid refuse)",
        };
        if let Some(words) = &mut self.words {
            let _ = words.write_all(format!("overseer: process {}: {shown} {why}: {done}\n", thread.tid()).as_bytes());
        }
        Some(What::SetUid { path: path.into(), why: why.into(), fate })
    }
}

/// The call is not made, and fails.
fn refuse(thread: &mut Stopped) -> bool {
    let Ok(mut regs) = thread.regs() else { return false };
    // No call has this number.
    (regs.orig_rax, regs.rax) = (u64::MAX, i64::from(-libc::EPERM) as u64);
    thread.set_regs(&regs).is_ok()
}

/// The rights that a program gives to this thread, if it does.
fn gains(tid: i32, dir: i32, path: &[u8]) -> Option<&'static str> {
    let mut path = path.to_vec();
    let mut dir = dir;
    for _ in 0..=INTERPRETERS {
        let file = find(tid, dir, &path)?;
        match interpreter(&file) {
            Some(next) => (path, dir) = (next, AT_FDCWD),
            None => return gives(tid, &file),
        }
    }
    None
}

/// The file that a thread finds under this path.
fn find(tid: i32, dir: i32, path: &[u8]) -> Option<OwnedFd> {
    let open = |path: &Path| rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok();
    let from = if dir == AT_FDCWD { "cwd".to_owned() } else { format!("fd/{dir}") };
    let of = PathBuf::from(format!("/proc/{tid}"));
    if path.is_empty() {
        return open(&of.join(from));
    }
    let path = match path.strip_prefix(b"/proc/self/") {
        Some(rest) => return open(&of.join(OsStr::from_bytes(rest))),
        None => Path::new(OsStr::from_bytes(path)),
    };
    if path.is_relative() {
        return open(&of.join(from).join(path));
    }
    let root = open(&of.join("root"))?;
    openat2(root, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::IN_ROOT).ok()
}

/// The path behind `#!`.
fn interpreter(file: &OwnedFd) -> Option<Vec<u8>> {
    let mut head = [0; 256];
    let own = format!("/proc/self/fd/{}", file.as_raw_fd());
    // To open a FIFO would wait.
    std::fs::metadata(&own).ok().filter(Metadata::is_file)?;
    let n = File::open(own).ok()?.read(&mut head).ok()?;
    let line = head[..n].strip_prefix(b"#!")?.split(|b| *b == b'\n').next()?;
    line.split(|b| matches!(b, b' ' | b'\t')).find(|word| !word.is_empty()).map(<[u8]>::to_vec)
}

fn gives(tid: i32, file: &OwnedFd) -> Option<&'static str> {
    let own = format!("/proc/self/fd/{}", file.as_raw_fd());
    let meta = std::fs::metadata(&own).ok().filter(Metadata::is_file)?;
    if fstatvfs(file).is_ok_and(|fs| fs.f_flag.contains(StatVfsMountFlags::NOSUID)) {
        return None;
    }
    let status = Status::of(tid).ok()?;
    let (user, group) = (status.ids("Uid")[1], status.ids("Gid")[1]);
    let mode = meta.mode();
    if mode & libc::S_ISUID != 0 && meta.uid() != user {
        return Some("is set-user-ID");
    }
    if mode & (libc::S_ISGID | libc::S_IXGRP) == libc::S_ISGID | libc::S_IXGRP && meta.gid() != group {
        return Some("is set-group-ID");
    }
    let capabilities = user != 0 && getxattr(&own, "security.capability", &mut [0; 64][..]).is_ok();
    capabilities.then_some("has file capabilities")
}
