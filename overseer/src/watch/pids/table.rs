//! Where pids are in which system calls: arguments, results, and memory that the kernel reads or writes. Each row is a part of one call, and all that fit hold.

use cryo_tracee::tracees::{Call, When};

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
    /// The same, in the memory that a word leads to: the argument leads to this one of them, words of 32-bit code.
    WritesBy(u8, u64),
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
    /// Its number for 64-bit code; 0 if there is no such call, or the number is elsewhere.
    pub native: u32,
    /// The same for 32-bit code, and for `int 0x80`.
    pub i386: u32,
    /// When: all of these hold.
    pub when: &'static [When],
    /// Where.
    pub place: Place,
}

const fn row(name: &'static str, native: u32, i386: u32, when: &'static [When], place: Place) -> Row {
    Row { name, native, i386, when, place }
}

const fn always(name: &'static str, native: u32, i386: u32, place: Place) -> Row {
    row(name, native, i386, &[], place)
}

use As::{One, Signed};
use Place::{In, Link, Path, Process, Reads, Result, Siginfo, Thread, Writes, WritesBy};

/// waitid(2): P_PID, P_PGID. getpriority(2): PRIO_PROCESS, PRIO_PGRP. ioprio_get(2): IOPRIO_WHO_PROCESS, IOPRIO_WHO_PGRP.
const WAIT: &[u32] = &[1, 2];
const PRIORITY: &[u32] = &[0, 1];
const IO_PRIORITY: &[u32] = &[1, 2];
/// fcntl(2): F_GETLK and F_OFD_GETLK, whose struct flock has l_pid last. Of 32-bit code the first has an old one, and F_GETLK64 and F_OFD_GETLK have that of 64 bits,
/// packed.
const GETLK: &[u32] = &[5, 36];
const OLD_GETLK: &[u32] = &[5];
const GETLK64: &[u32] = &[12, 36];
/// F_SETOWN, F_GETOWN, F_SETOWN_EX, F_GETOWN_EX.
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
/// socketcall(2): getsockopt.
const GETSOCKOPT: &[u32] = &[15];
/// clone(2): CLONE_PARENT_SETTID.
const PARENT_SETTID: u32 = 0x0010_0000;
/// prctl(2): PR_SET_PTRACER.
const PTRACER: &[u32] = &[0x5961_6d61];

/// The calls.
pub const ROWS: &[Row] = &[
    always("getpid", 39, 20, Process),
    always("gettid", 186, 224, Thread),
    always("getppid", 110, 64, Result(One)),
    always("set_tid_address", 218, 258, Result(One)),
    always("kill", 62, 37, In(0, Signed)),
    always("tkill", 200, 238, In(0, One)),
    always("tgkill", 234, 270, In(0, One)),
    always("tgkill", 234, 270, In(1, One)),
    always("rt_sigqueueinfo", 129, 178, In(0, One)),
    always("rt_tgsigqueueinfo", 297, 335, In(0, One)),
    always("rt_tgsigqueueinfo", 297, 335, In(1, One)),
    always("rt_sigtimedwait", 128, 177, Siginfo(1)),
    always("rt_sigtimedwait_time64", 0, 421, Siginfo(1)),
    always("wait4", 61, 114, In(0, Signed)),
    always("wait4", 61, 114, Result(One)),
    always("waitpid", 0, 7, In(0, Signed)),
    always("waitpid", 0, 7, Result(One)),
    row("waitid", 247, 284, &[When::In(0, WAIT)], In(1, One)),
    always("waitid", 247, 284, Siginfo(2)),
    always("setpgid", 109, 57, In(0, One)),
    always("setpgid", 109, 57, In(1, One)),
    always("getpgid", 121, 132, In(0, One)),
    always("getpgid", 121, 132, Result(One)),
    always("getpgrp", 111, 65, Result(One)),
    always("getsid", 124, 147, In(0, One)),
    always("getsid", 124, 147, Result(One)),
    always("setsid", 112, 66, Result(One)),
    row("fcntl", 72, 0, &[When::In(1, GETLK)], Writes(2, 24)),
    row("fcntl", 72, 55, &[When::In(1, SETOWN)], In(2, Signed)),
    row("fcntl", 72, 55, &[When::In(1, GETOWN)], Result(Signed)),
    row("fcntl", 72, 55, &[When::In(1, SETOWN_EX)], Reads(2, 8, 4)),
    row("fcntl", 72, 55, &[When::In(1, GETOWN_EX)], Writes(2, 4)),
    row("fcntl", 0, 55, &[When::In(1, OLD_GETLK)], Writes(2, 12)),
    row("fcntl64", 0, 221, &[When::In(1, OLD_GETLK)], Writes(2, 12)),
    row("fcntl64", 0, 221, &[When::In(1, GETLK64)], Writes(2, 20)),
    row("fcntl64", 0, 221, &[When::In(1, SETOWN)], In(2, Signed)),
    row("fcntl64", 0, 221, &[When::In(1, GETOWN)], Result(Signed)),
    row("fcntl64", 0, 221, &[When::In(1, SETOWN_EX)], Reads(2, 8, 4)),
    row("fcntl64", 0, 221, &[When::In(1, GETOWN_EX)], Writes(2, 4)),
    row("ioctl", 16, 54, &[When::In(1, SETS)], Reads(2, 4, 0)),
    row("ioctl", 16, 54, &[When::In(1, GETS)], Writes(2, 0)),
    row("getsockopt", 55, 365, &[When::In(1, SOCKET), When::In(2, PEERCRED)], Writes(3, 0)),
    row("socketcall", 0, 102, &[When::In(0, GETSOCKOPT)], WritesBy(1, 3)),
    always("clone", 56, 120, Result(One)),
    row("clone", 56, 120, &[When::AnyOf(0, PARENT_SETTID)], Writes(2, 0)),
    always("fork", 57, 2, Result(One)),
    always("vfork", 58, 190, Result(One)),
    always("clone3", 435, 435, Result(One)),
    always("pidfd_open", 434, 434, In(0, One)),
    always("sched_setparam", 142, 154, In(0, One)),
    always("sched_getparam", 143, 155, In(0, One)),
    always("sched_setscheduler", 144, 156, In(0, One)),
    always("sched_getscheduler", 145, 157, In(0, One)),
    always("sched_rr_get_interval", 148, 161, In(0, One)),
    always("sched_rr_get_interval_time64", 0, 423, In(0, One)),
    always("sched_setaffinity", 203, 241, In(0, One)),
    always("sched_getaffinity", 204, 242, In(0, One)),
    always("sched_setattr", 314, 351, In(0, One)),
    always("sched_getattr", 315, 352, In(0, One)),
    always("prlimit64", 302, 340, In(0, One)),
    row("getpriority", 140, 96, &[When::In(0, PRIORITY)], In(1, One)),
    row("setpriority", 141, 97, &[When::In(0, PRIORITY)], In(1, One)),
    row("ioprio_get", 252, 290, &[When::In(0, IO_PRIORITY)], In(1, One)),
    row("ioprio_set", 251, 289, &[When::In(0, IO_PRIORITY)], In(1, One)),
    always("get_robust_list", 274, 312, In(0, One)),
    always("process_vm_readv", 310, 347, In(0, One)),
    always("process_vm_writev", 311, 348, In(0, One)),
    always("kcmp", 312, 349, In(0, One)),
    always("kcmp", 312, 349, In(1, One)),
    row("prctl", 157, 172, &[When::In(0, PTRACER)], In(1, One)),
    always("open", 2, 5, Path(0)),
    always("openat", 257, 295, Path(1)),
    always("openat2", 437, 437, Path(1)),
    always("stat", 4, 106, Path(0)),
    always("lstat", 6, 107, Path(0)),
    always("newfstatat", 262, 0, Path(1)),
    always("oldstat", 0, 18, Path(0)),
    always("oldlstat", 0, 84, Path(0)),
    always("stat64", 0, 195, Path(0)),
    always("lstat64", 0, 196, Path(0)),
    always("fstatat64", 0, 300, Path(1)),
    always("statx", 332, 383, Path(1)),
    always("access", 21, 33, Path(0)),
    always("faccessat", 269, 307, Path(1)),
    always("faccessat2", 439, 439, Path(1)),
    always("readlink", 89, 85, Path(0)),
    always("readlinkat", 267, 305, Path(1)),
    always("readlink", 89, 85, Link(0, 1)),
    always("readlinkat", 267, 305, Link(1, 2)),
    always("chdir", 80, 12, Path(0)),
];

impl Row {
    /// Its number, for this kind of code; none if there is no such call.
    pub fn number(&self, i386: bool) -> Option<u32> {
        Some(if i386 { self.i386 } else { self.native }).filter(|number| *number != 0)
    }
}

/// The rows of a call.
pub fn of(call: &Call) -> impl Iterator<Item = &'static Row> {
    let here = |row: &Row| row.number(call.i386) == Some(call.number) && row.when.iter().all(|w| w.holds(&call.args));
    ROWS.iter().filter(move |row| here(row))
}
