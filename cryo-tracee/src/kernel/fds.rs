//! Descriptors of another process: taken over with pidfd_getfd(2), compared with kcmp(2).

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_getfd};
use rustix::process::{PidfdGetfdFlags, pidfd_getfd};
use rustix::time::{Timespec, timerfd_gettime};

use crate::error::{Context, refuse};
use crate::{Error, RefusalKind, Result, fault};

/// pidfd_open(2) of a process by its pid, or of any of its threads by that one's id: whoever it is, its descriptors are found by it.
pub fn pidfd(tid: i32) -> Result<OwnedFd> {
    /// For a thread that is not the main one (Linux 6.9).
    const PIDFD_THREAD: i32 = libc::O_EXCL;
    // SAFETY: takes two numbers; a result that is not negative is a new descriptor that nobody else owns.
    let open = |flags: i32| unsafe { libc::syscall(libc::SYS_pidfd_open, tid, flags) };
    let mut fd = open(0);
    // EINVAL before 6.15.
    if fd < 0 && matches!(std::io::Error::last_os_error().raw_os_error(), Some(libc::EINVAL | libc::ENOENT)) {
        fd = open(PIDFD_THREAD);
        if fd < 0 && std::io::Error::last_os_error().raw_os_error() == Some(libc::EINVAL) {
            return refuse(
                RefusalKind::Thread,
                format!(
                    "thread {tid}: this kernel (before 6.9) gives nobody the descriptors of a process whose main thread has exited, nor those of a \
                     thread that has its own: freeze it on a newer one"
                ),
            );
        }
    }
    if fd < 0 {
        return Err(Error::last(format!("pidfd_open of {tid}")));
    }
    // SAFETY: as above.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// A duplicate of descriptor `fd` of the process behind `pidfd`: the same open file description.
pub fn take(pidfd: &OwnedFd, fd: i32) -> Result<OwnedFd> {
    let what = || format!("taking over fd {fd}");
    fault::point().map_err(|e| Error::sys(what(), e))?;
    pidfd_getfd(pidfd, fd, PidfdGetfdFlags::empty()).about(what)
}

/// What a program that we execute finds open: duplicates of our descriptors that do not close then, by their numbers.
pub fn inherited() -> Result<Vec<(u32, OwnedFd)>> {
    let mut all = Vec::new();
    for fd in crate::proc::descriptors(std::process::id() as i32)? {
        // SAFETY: a number that is not -1, used for two calls, which fail if nothing is open under it (any more).
        let own = unsafe { BorrowedFd::borrow_raw(fd) };
        if fcntl_getfd(own).is_ok_and(|flags| !flags.contains(FdFlags::CLOEXEC)) {
            let duplicate = fcntl_dupfd_cloexec(own, 3).about(|| format!("duplicating fd {fd}"))?;
            all.push((fd as u32, duplicate));
        }
    }
    Ok(all)
}

/// Closes what who executed us has left open above the standard descriptors. Only what is to be inherited has no FD_CLOEXEC here: nothing of ours is closed.
pub fn close_inherited() -> Result<()> {
    for (fd, _) in inherited()?.into_iter().filter(|(fd, _)| *fd > 2) {
        // SAFETY: a number that nothing in this program owns, as is said above.
        unsafe { libc::close(fd as i32) };
    }
    Ok(())
}

/// Orders the open file descriptions of two descriptors, each with its process; equal means the same one (KCMP_FILE).
pub fn compare((pid, a): (i32, i32), (other, b): (i32, i32)) -> Result<std::cmp::Ordering> {
    let what = || format!("comparing fd {a} of process {pid} with fd {b} of process {other}");
    fault::point().map_err(|e| Error::sys(what(), e))?;
    // SAFETY: takes numbers only.
    ordering(unsafe { libc::syscall(libc::SYS_kcmp, pid, other, 0, a as i64, b as i64) })
        .ok_or_else(|| Error::last(what()))
}

/// What kcmp(2) answers.
fn ordering(answer: i64) -> Option<std::cmp::Ordering> {
    match answer {
        0 => Some(std::cmp::Ordering::Equal),
        1 => Some(std::cmp::Ordering::Less),
        2 => Some(std::cmp::Ordering::Greater),
        _ => None,
    }
}

/// Do two descriptors of two processes refer to one open file description? No where the kernel does not tell us.
pub fn is_description(pid: i32, fd: i32, other: i32, other_fd: i32) -> bool {
    // SAFETY: takes numbers only.
    unsafe { libc::syscall(libc::SYS_kcmp, pid, other, 0, fd as i64, other_fd as i64) == 0 }
}

/// What threads of one process share unless one of them has called unshare(2), and processes if clone(2) was told so (linux/kcmp.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shared {
    /// KCMP_VM: the memory.
    Memory = 1,
    /// KCMP_FILES: the table of descriptors.
    Files = 2,
    /// KCMP_FS: working directory, root and umask.
    Fs = 3,
    /// KCMP_SIGHAND: the handlers of signals.
    Handlers = 4,
    /// KCMP_SYSVSEM: what the end undoes to SysV semaphores. Those who have never asked for that are equal, too.
    SemUndo = 6,
}

/// Orders what two processes have of that; equal means that they share it.
pub fn order(pid: i32, other: i32, what: Shared) -> Result<std::cmp::Ordering> {
    let about = || format!("comparing process {pid} with process {other}");
    fault::point().map_err(|e| Error::sys(about(), e))?;
    // SAFETY: takes numbers only.
    ordering(unsafe { libc::syscall(libc::SYS_kcmp, pid, other, what as i32, 0, 0) })
        .ok_or_else(|| Error::last(about()))
}

/// Do two threads share it? Yes where the kernel does not tell (no CONFIG_KCMP).
pub fn share(tid: i32, other: i32, what: Shared) -> bool {
    // SAFETY: takes numbers only.
    unsafe { libc::syscall(libc::SYS_kcmp, tid, other, what as i32, 0, 0) <= 0 }
}

/// Do two processes surely share it? No where the kernel does not tell us.
pub fn surely_share(pid: i32, other: i32, what: Shared) -> bool {
    // SAFETY: takes numbers only.
    unsafe { libc::syscall(libc::SYS_kcmp, pid, other, what as i32, 0, 0) == 0 }
}

/// Has it a list of what its end undoes to SysV semaphores? A thread of ours that gives up its part in our own list (unshare(2)) has none to compare with.
pub fn has_undo_list(tid: i32) -> bool {
    let differs = || {
        // SAFETY: takes flags. All other threads keep the list of this process, and so nothing is undone.
        let none = unsafe { libc::unshare(libc::CLONE_SYSVSEM) } == 0;
        !(none && surely_share(tid, rustix::thread::gettid().as_raw_nonzero().get(), Shared::SemUndo))
    };
    std::thread::scope(|scope| scope.spawn(differs).join()).unwrap_or(true)
}

/// Is the file of a process's descriptor what the epoll set of another (or the same) watches under the number `watched`? A number may stand there more than
/// once: `nth` counts from 0 (KCMP_EPOLL_TFD).
pub fn is_watched((pid, fd): (i32, i32), (other, epoll): (i32, i32), watched: i32, nth: u32) -> Result<bool> {
    const KCMP_EPOLL_TFD: i32 = 7;
    let what = || format!("comparing fd {fd} with what fd {epoll} watches as {watched}");
    fault::point().map_err(|e| Error::sys(what(), e))?;
    let slot = [epoll as u32, watched as u32, nth];
    // SAFETY: `slot` is linux/kcmp.h's struct kcmp_epoll_slot, which the kernel reads.
    match unsafe { libc::syscall(libc::SYS_kcmp, pid, other, KCMP_EPOLL_TFD, fd as i64, slot.as_ptr()) } {
        0 => Ok(true),
        1 | 2 => Ok(false),
        _ => Err(Error::last(what())),
    }
}

/// timerfd_gettime(2): what is left, and the interval, in nanoseconds. A periodic timer that has expired is brought up to date by it, as by any
/// look at it; nothing is read.
pub fn timer_left(timer: &OwnedFd) -> Result<(u64, u64)> {
    let what = || "asking a timerfd for its time".to_owned();
    fault::point().map_err(|e| Error::sys(what(), e))?;
    let times = timerfd_gettime(timer).about(what)?;
    let ns = |t: Timespec| (t.tv_sec as u64).saturating_mul(1_000_000_000).saturating_add(t.tv_nsec as u64);
    Ok((ns(times.it_value), ns(times.it_interval)))
}

/// Who is told of input on a file: F_OWNER_* kind and number (F_GETOWN_EX; number 0 for nobody), and the signal (F_GETSIG; 0 for SIGIO).
pub fn owner(file: &OwnedFd) -> Result<(i32, i32, i32)> {
    const F_GETOWN_EX: i32 = 16;
    const F_GETSIG: i32 = 11;
    let what = || "asking a file for its owner".to_owned();
    fault::point().map_err(|e| Error::sys(what(), e))?;
    let mut owner = [0_i32; 2];
    // SAFETY: the kernel writes one struct f_owner_ex: two ints.
    let r = unsafe { libc::fcntl(file.as_raw_fd(), F_GETOWN_EX, owner.as_mut_ptr()) };
    // SAFETY: takes numbers only.
    let signal = unsafe { libc::fcntl(file.as_raw_fd(), F_GETSIG) };
    match (r, signal) {
        // What is held by O_PATH has none.
        _ if r < 0 && std::io::Error::last_os_error().raw_os_error() == Some(libc::EBADF) => Ok((0, 0, 0)),
        (0, signal) if signal >= 0 => Ok((owner[0], owner[1], signal)),
        _ => Err(Error::last(what())),
    }
}

/// How long what is written to a file is expected to live (F_GET_RW_HINT): RWH_WRITE_LIFE_*, 0 where nobody has said.
pub fn write_hint(file: &std::fs::File) -> u64 {
    /// linux/fcntl.h; libc lacks it.
    const F_GET_RW_HINT: i32 = 1035;
    let mut hint = 0_u64;
    // SAFETY: the kernel writes one u64. Where there are no hints it fails, and writes nothing.
    let _ = unsafe { libc::fcntl(file.as_raw_fd(), F_GET_RW_HINT, &raw mut hint) };
    hint
}

/// Has an epoll set parameters for busy polling (ioctl_eventpoll(2), Linux 6.9)? No where the kernel has none.
pub fn epoll_polls_busily(set: &OwnedFd) -> bool {
    /// `_IOR(0x8a, 2, struct epoll_params)`, linux/eventpoll.h.
    const EPIOCGPARAMS: libc::c_ulong = 0x8008_8a02;
    // busy_poll_usecs, busy_poll_budget, prefer_busy_poll, padding.
    let mut params = [0_u8; 8];
    // SAFETY: the kernel writes these eight bytes, or fails.
    let got = unsafe { libc::ioctl(set.as_raw_fd(), EPIOCGPARAMS, params.as_mut_ptr()) };
    got == 0 && params != [0; 8]
}

/// open_by_handle_at(2) with O_PATH: what a file handle of the file system under `mount` refers to. Needs CAP_DAC_READ_SEARCH.
pub fn open_by_handle(mount: &std::fs::File, kind: i32, handle: &[u8]) -> Result<OwnedFd> {
    let mut words = vec![handle.len() as u32, kind as u32];
    words.extend(handle.chunks(4).map(|c| {
        let mut word = [0; 4];
        word[..c.len()].copy_from_slice(c);
        u32::from_le_bytes(word)
    }));
    // SAFETY: `words` is a struct file_handle: length in bytes, type, and at least that many bytes.
    let fd = unsafe { libc::syscall(libc::SYS_open_by_handle_at, mount.as_raw_fd(), words.as_mut_ptr(), libc::O_PATH) };
    if fd < 0 {
        return Err(Error::last("opening a file by its handle"));
    }
    // SAFETY: a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}
