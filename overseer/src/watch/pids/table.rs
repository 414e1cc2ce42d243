//! Where pids are in which system calls: arguments, results, and memory that the kernel reads or writes. Each row is a part of one call, and all that fit hold.

use cryo_tracee::tracees::When;

/// How a number names somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum As {
    /// A process, a thread, a group or a session, if it is above 0.
    One,
    /// The same, and below -1 a process group.
    Signed,
}

/// Where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In this argument.
    In(u8, As),
    /// In the result.
    Result(As),
    /// The process itself, which nobody has to ask the kernel for.
    Process,
    /// The thread itself.
    Thread,
    /// In memory that this argument leads to and that the kernel reads: so many bytes, the number at this offset.
    Reads(u8, usize, usize),
    /// In memory that this argument leads to and that the kernel writes: the number at this offset.
    Writes(u8, u64),
    /// In the siginfo_t that this argument leads to and that the kernel writes.
    Siginfo(u8),
    /// In the path that this argument leads to.
    Path(u8),
    /// In what the kernel writes to where the second of these arguments leads, of the link that the first one names.
    Link(u8, u8),
}

/// One place of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The call.
    pub name: &'static str,
    /// Its number.
    pub number: u32,
    /// When: all of these hold.
    pub when: &'static [When],
    /// Where.
    pub place: Place,
}

const fn row(name: &'static str, number: u32, when: &'static [When], place: Place) -> Row {
    Row { name, number, when, place }
}

const fn always(name: &'static str, number: u32, place: Place) -> Row {
    row(name, number, &[], place)
}

use As::{One, Signed};
use Place::{In, Link, Path, Process, Reads, Result, Siginfo, Thread, Writes};

/// waitid(2): P_PID, P_PGID. getpriority(2): PRIO_PROCESS, PRIO_PGRP. ioprio_get(2): IOPRIO_WHO_PROCESS, IOPRIO_WHO_PGRP.
const WAIT: &[u32] = &[1, 2];
const PRIORITY: &[u32] = &[0, 1];
const IO_PRIORITY: &[u32] = &[1, 2];
/// fcntl(2): F_GETLK and F_OFD_GETLK, whose struct flock has l_pid behind two words; F_SETOWN, F_GETOWN, F_SETOWN_EX, F_GETOWN_EX.
const GETLK: &[u32] = &[5, 36];
const SETOWN: &[u32] = &[8];
const GETOWN: &[u32] = &[9];
const SETOWN_EX: &[u32] = &[15];
const GETOWN_EX: &[u32] = &[16];
/// ioctl(2): TIOCSPGRP, FIOSETOWN, SIOCSPGRP; TIOCGPGRP, TIOCGSID, FIOGETOWN, SIOCGPGRP.
const SETS: &[u32] = &[0x5410, 0x8901, 0x8902];
const GETS: &[u32] = &[0x540f, 0x5429, 0x8903, 0x8904];
/// All of them, and what is watched besides.
pub const IOCTLS: &[u32] = &[0x5410, 0x8901, 0x8902, 0x540f, 0x5429, 0x8903, 0x8904, crate::watch::calls::PEER];
/// getsockopt(2): SOL_SOCKET, SO_PEERCRED.
const SOCKET: &[u32] = &[1];
const PEERCRED: &[u32] = &[17];
/// clone(2): CLONE_PARENT_SETTID.
const PARENT_SETTID: u32 = 0x0010_0000;
/// prctl(2): PR_SET_PTRACER.
const PTRACER: &[u32] = &[0x5961_6d61];

/// The calls of 64-bit code.
pub const ROWS: &[Row] = &[
    always("getpid", 39, Process),
    always("gettid", 186, Thread),
    always("getppid", 110, Result(One)),
    always("set_tid_address", 218, Result(One)),
    always("kill", 62, In(0, Signed)),
    always("tkill", 200, In(0, One)),
    always("tgkill", 234, In(0, One)),
    always("tgkill", 234, In(1, One)),
    always("rt_sigqueueinfo", 129, In(0, One)),
    always("rt_tgsigqueueinfo", 297, In(0, One)),
    always("rt_tgsigqueueinfo", 297, In(1, One)),
    always("rt_sigtimedwait", 128, Siginfo(1)),
    always("wait4", 61, In(0, Signed)),
    always("wait4", 61, Result(One)),
    row("waitid", 247, &[When::In(0, WAIT)], In(1, One)),
    always("waitid", 247, Siginfo(2)),
    always("setpgid", 109, In(0, One)),
    always("setpgid", 109, In(1, One)),
    always("getpgid", 121, In(0, One)),
    always("getpgid", 121, Result(One)),
    always("getpgrp", 111, Result(One)),
    always("getsid", 124, In(0, One)),
    always("getsid", 124, Result(One)),
    always("setsid", 112, Result(One)),
    row("fcntl", 72, &[When::In(1, GETLK)], Writes(2, 24)),
    row("fcntl", 72, &[When::In(1, SETOWN)], In(2, Signed)),
    row("fcntl", 72, &[When::In(1, GETOWN)], Result(Signed)),
    row("fcntl", 72, &[When::In(1, SETOWN_EX)], Reads(2, 8, 4)),
    row("fcntl", 72, &[When::In(1, GETOWN_EX)], Writes(2, 4)),
    row("ioctl", 16, &[When::In(1, SETS)], Reads(2, 4, 0)),
    row("ioctl", 16, &[When::In(1, GETS)], Writes(2, 0)),
    row("getsockopt", 55, &[When::In(1, SOCKET), When::In(2, PEERCRED)], Writes(3, 0)),
    always("clone", 56, Result(One)),
    row("clone", 56, &[When::AnyOf(0, PARENT_SETTID)], Writes(2, 0)),
    always("fork", 57, Result(One)),
    always("vfork", 58, Result(One)),
    always("clone3", 435, Result(One)),
    always("pidfd_open", 434, In(0, One)),
    always("sched_setparam", 142, In(0, One)),
    always("sched_getparam", 143, In(0, One)),
    always("sched_setscheduler", 144, In(0, One)),
    always("sched_getscheduler", 145, In(0, One)),
    always("sched_rr_get_interval", 148, In(0, One)),
    always("sched_setaffinity", 203, In(0, One)),
    always("sched_getaffinity", 204, In(0, One)),
    always("sched_setattr", 314, In(0, One)),
    always("sched_getattr", 315, In(0, One)),
    always("prlimit64", 302, In(0, One)),
    row("getpriority", 140, &[When::In(0, PRIORITY)], In(1, One)),
    row("setpriority", 141, &[When::In(0, PRIORITY)], In(1, One)),
    row("ioprio_get", 252, &[When::In(0, IO_PRIORITY)], In(1, One)),
    row("ioprio_set", 251, &[When::In(0, IO_PRIORITY)], In(1, One)),
    always("get_robust_list", 274, In(0, One)),
    always("process_vm_readv", 310, In(0, One)),
    always("process_vm_writev", 311, In(0, One)),
    always("kcmp", 312, In(0, One)),
    always("kcmp", 312, In(1, One)),
    row("prctl", 157, &[When::In(0, PTRACER)], In(1, One)),
    always("open", 2, Path(0)),
    always("openat", 257, Path(1)),
    always("openat2", 437, Path(1)),
    always("stat", 4, Path(0)),
    always("lstat", 6, Path(0)),
    always("newfstatat", 262, Path(1)),
    always("statx", 332, Path(1)),
    always("access", 21, Path(0)),
    always("faccessat", 269, Path(1)),
    always("faccessat2", 439, Path(1)),
    always("readlink", 89, Path(0)),
    always("readlinkat", 267, Path(1)),
    always("readlink", 89, Link(0, 1)),
    always("readlinkat", 267, Link(1, 2)),
    always("chdir", 80, Path(0)),
];

/// The rows of a call with these arguments.
pub fn of(number: u32, args: [u64; 6]) -> impl Iterator<Item = &'static Row> {
    ROWS.iter().filter(move |row| row.number == number && row.when.iter().all(|when| when.holds(&args)))
}
