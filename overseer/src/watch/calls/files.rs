//! Files and whatever else has a descriptor, but sockets.

use cryo_tracee::Stopped;
use cryo_tracee::tracees::{Call, Watch, When};

use super::{fd, result, two_fds, watch};
use crate::watch::record::What;

const AT_FDCWD: i32 = -100;
/// fcntl(2): F_DUPFD, F_DUPFD_CLOEXEC. All else it does the kernel's tables tell.
const DUPLICATING: &[u32] = &[0, 1030];

/// ioctl(2): TIOCGPTPEER, by which openpty(3) opens the other end.
pub const PEER: u32 = 0x5441;

pub const WATCHED: &[Watch] = &[
    result("open", 2, 5),
    result("openat", 257, 295),
    result("openat2", 437, 437),
    result("creat", 85, 8),
    result("open_by_handle_at", 304, 342),
    result("dup", 32, 41),
    result("dup2", 33, 63),
    result("dup3", 292, 330),
    watch("fcntl", 72, 55, When::In(1, DUPLICATING), true),
    watch("fcntl64", 0, 221, When::In(1, DUPLICATING), true),
    watch("ioctl", 16, 54, When::In(1, &[PEER]), true),
    result("pipe", 22, 42),
    result("pipe2", 293, 331),
    result("eventfd", 284, 323),
    result("eventfd2", 290, 328),
    result("epoll_create", 213, 254),
    result("epoll_create1", 291, 329),
    // With -1 as its descriptor it makes one.
    result("signalfd", 282, 321),
    result("signalfd4", 289, 327),
    result("inotify_init", 253, 291),
    result("inotify_init1", 294, 332),
    result("timerfd_create", 283, 322),
    result("memfd_create", 319, 356),
    result("memfd_secret", 447, 447),
    result("pidfd_open", 434, 434),
    result("pidfd_getfd", 438, 438),
    result("userfaultfd", 323, 374),
    result("fanotify_init", 300, 338),
    result("io_uring_setup", 425, 425),
    result("mq_open", 240, 277),
    result("rename", 82, 38),
    result("renameat", 264, 302),
    result("renameat2", 316, 353),
    result("chdir", 80, 12),
];

pub fn tell(name: &str, call: &Call, result: i64, thread: &Stopped) -> Option<What> {
    if result < 0 {
        return None;
    }
    let [a, b, c, d, ..] = call.args;
    let new = result as i32;
    let path = |at| thread.peek_string(at).map(Into::into);
    let opened = |dir, at, flags, mode: u64| {
        // A mode is passed only with O_CREAT (0100) or O_TMPFILE; otherwise that register has what happens to be there.
        let mode = if flags & 0o20_000_100 != 0 { mode as u32 & 0o7777 } else { 0 };
        Some(What::Opened { fd: new, path: path(at)?, dir, flags, mode })
    };
    match name {
        "open" => opened(AT_FDCWD, a, b, c),
        "creat" => opened(AT_FDCWD, a, 0o1101, b),
        "openat" => opened(fd(a), b, c, d),
        "openat2" => {
            // struct open_how: flags, mode, resolve.
            let mut how = [0; 16];
            thread.peek(c, &mut how);
            let word = |i: usize| u64::from_le_bytes(std::array::from_fn(|n| how[i + n]));
            opened(fd(a), b, word(0), word(8))
        }
        "dup" => Some(What::Duplicated { fd: new, from: fd(a) }),
        "dup2" | "dup3" | "fcntl" | "fcntl64" => (new != fd(a)).then_some(What::Duplicated { fd: new, from: fd(a) }),
        "pipe" | "pipe2" => Some(What::Pair { fds: two_fds(thread, a)?, kind: "pipe".into() }),
        "signalfd" | "signalfd4" if fd(a) != -1 => None,
        "rename" => Some(What::Renamed { from: path(a)?, from_dir: AT_FDCWD, to: path(b)?, to_dir: AT_FDCWD }),
        "renameat" | "renameat2" => {
            Some(What::Renamed { from: path(b)?, from_dir: fd(a), to: path(d)?, to_dir: fd(c) })
        }
        "chdir" => Some(What::Directory { path: path(a)? }),
        _ => {
            let kind = match name {
                "eventfd2" => "eventfd",
                "epoll_create" | "epoll_create1" => "epoll",
                "signalfd4" => "signalfd",
                "inotify_init" | "inotify_init1" => "inotify",
                "fanotify_init" => "fanotify",
                "timerfd_create" => "timerfd",
                "memfd_create" | "memfd_secret" => "memfd",
                "pidfd_open" => "pidfd",
                "io_uring_setup" => "io_uring",
                // A message queue looks like a file, and so does a terminal.
                "ioctl" | "mq_open" | "open_by_handle_at" => "file",
                // Whatever the other process has there.
                "pidfd_getfd" => "?",
                other => other,
            };
            Some(What::Made { fd: new, kind: kind.into() })
        }
    }
}
