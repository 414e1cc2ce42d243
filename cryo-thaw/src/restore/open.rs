//! What a path leads to, opened by the host itself and with no other rights than the program's own.

use std::fs::{File, Metadata};
use std::os::fd::OwnedFd;

use cryo_tracee::{Host, fds, magic};

use crate::Result;
use crate::error::About;

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
    Ok(Ok(held(pidfd, path, handle)?))
}

/// What the host holds by an O_PATH descriptor: this path led to it.
pub fn held(pidfd: &OwnedFd, path: &[u8], handle: u64) -> Result<Held> {
    let about = || format!("looking at {}", String::from_utf8_lossy(path));
    let ours = fds::take(pidfd, handle as i32)?;
    let made_up = magic::is_made_up(rustix::fs::fstatfs(&ours).about(about)?.f_type);
    Ok(Held { handle, meta: File::from(ours).metadata().about(about)?, made_up })
}

/// Opens what a descriptor of the host refers to once more.
pub fn reopen(host: &mut Host, fd: u64, flags: i32) -> Result<u64> {
    // A thread may have a table of its own, which /proc/self/fd does not show.
    Ok(open(host, format!("/proc/thread-self/fd/{fd}").as_bytes(), flags)??)
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

/// The flags of a new description that fcntl(2) can change. O_ASYNC is its owner's affair.
pub fn set_flags(host: &mut Host, fd: u64, open_flags: u64) -> Result<()> {
    let flags = open_flags as i32 & (libc::O_APPEND | libc::O_NONBLOCK | libc::O_DIRECT | libc::O_NOATIME);
    host.call(libc::SYS_fcntl, [fd, libc::F_SETFL as u64, flags as u64, 0, 0, 0])?;
    Ok(())
}
