//! Resource limits of another process: prlimit(2).

use std::ptr;

use crate::{Error, Result};

/// How many there are: RLIM_NLIMITS.
pub const COUNT: u32 = 16;

/// Names, as after `RLIMIT_`.
pub const NAMES: [&str; COUNT as usize] = [
    "CPU",
    "FSIZE",
    "DATA",
    "STACK",
    "CORE",
    "RSS",
    "NPROC",
    "NOFILE",
    "MEMLOCK",
    "AS",
    "LOCKS",
    "SIGPENDING",
    "MSGQUEUE",
    "NICE",
    "RTPRIO",
    "RTTIME",
];

fn what(verb: &str, pid: i32, resource: u32) -> String {
    let name = NAMES.get(resource as usize).copied().unwrap_or("?");
    format!("{verb} RLIMIT_{name} of process {pid}")
}

/// Soft and hard limit.
pub fn get(pid: i32, resource: u32) -> Result<(u64, u64)> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes one rlimit.
    let r = unsafe { libc::prlimit(pid, resource, ptr::null(), &raw mut limit) };
    if r == 0 { Ok((limit.rlim_cur, limit.rlim_max)) } else { Err(Error::last(what("reading", pid, resource))) }
}

/// Sets both.
pub fn set(pid: i32, resource: u32, (soft, hard): (u64, u64)) -> Result<()> {
    let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    // SAFETY: the kernel reads one rlimit.
    let r = unsafe { libc::prlimit(pid, resource, &raw const limit, ptr::null_mut()) };
    if r == 0 { Ok(()) } else { Err(Error::last(what("setting", pid, resource))) }
}
