//! What /proc tells of a process (proc(5)). Fields are found by name or by rule, never by column alone where the kernel may add some.

use std::fs;
use std::io::Read;
use std::ops::Range;
use std::os::unix::ffi::OsStringExt;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

mod fdinfo;
mod maps;
mod meminfo;
mod memory_groups;
mod numbers;
mod pagemap;

use crate::error::{refuse, unexpected};
use crate::{Error, RefusalKind, Result};
pub use fdinfo::{FdDirs, FdInfo};
pub use maps::{Mapping, mappings, parse_mappings, short_mappings};
pub use meminfo::Meminfo;
pub use memory_groups::MemoryGroup;
pub use numbers::{renumber, renumbered};
pub use pagemap::{Entry, Present, entries, pagemap, present};
pub(crate) use pagemap::{
    PAGE_IS_HUGE, PAGE_IS_PFNZERO, PAGE_IS_PRESENT, PAGE_IS_SWAPPED, PAGE_IS_WRITTEN, Question, Region, ask,
};

/// `fs::read` asks for the size, which is 0 in /proc, and begins with 32 bytes: ten system calls where three do.
fn read(path: &str) -> Result<Vec<u8>> {
    let all = || {
        let mut file = fs::File::open(path)?;
        let mut bytes = vec![0; 4096];
        let mut len = 0;
        loop {
            match file.read(&mut bytes[len..]) {
                Ok(0) => break,
                Ok(n) => len += n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
            if len == bytes.len() {
                bytes.resize(2 * len, 0);
            }
        }
        bytes.truncate(len);
        Ok(bytes)
    };
    all().map_err(|e| Error::sys(format!("reading {path}"), e))
}

/// Threads of a process, the main thread first.
pub fn tasks(pid: i32) -> Result<Vec<i32>> {
    let path = format!("/proc/{pid}/task");
    let dir = match fs::read_dir(&path) {
        Ok(d) => d,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return refuse(RefusalKind::NoProcess, format!("there is no process {pid}"));
        }
        Err(e) => return Err(Error::sys(format!("reading {path}"), e)),
    };
    let mut tids: Vec<i32> = dir.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect();
    tids.sort_by_key(|t| (*t != pid, *t));
    Ok(tids)
}

/// A thread of a process that has not ended, the main one if that has not.
pub fn living_task(pid: i32) -> Option<i32> {
    tasks(pid).ok()?.into_iter().find(|tid| link(*tid, "exe").is_ok())
}

/// Refuses `what` where this process has more than one thread: of others a fork(2) keeps only locks that nobody opens any more, and namespaces are
/// changed one thread at a time.
pub(crate) fn one_thread(what: &str) -> Result<()> {
    match tasks(std::process::id() as i32)?.len() {
        1 => Ok(()),
        n => refuse(
            RefusalKind::Thread,
            format!("{what}: this process has {n} threads, and may have one: do it before the others are started"),
        ),
    }
}

/// Where the vDSO is; empty if there is none.
pub fn vdso(pid: i32) -> Range<u64> {
    let maps = read(&format!("/proc/{pid}/maps")).unwrap_or_default();
    let line = maps.split(|b| *b == b'\n').find(|line| line.ends_with(b" [vdso]")).unwrap_or_default();
    let range = std::str::from_utf8(line).ok().and_then(|line| line.split_once(' ')?.0.split_once('-'));
    let ends =
        range.and_then(|(start, end)| Some(u64::from_str_radix(start, 16).ok()?..u64::from_str_radix(end, 16).ok()?));
    ends.unwrap_or(0..0)
}

/// State of a thread for people: `S (sleeping)`. `None` if it is gone.
pub fn state(tid: i32) -> Option<String> {
    Status::of(tid).ok()?.text("State").map(str::to_owned)
}

/// /proc/PID/status.
#[derive(Clone)]
pub struct Status(Vec<u8>);

impl Status {
    /// Reads it, for a process or a thread.
    pub fn of(tid: i32) -> Result<Self> {
        read(&format!("/proc/{tid}/status")).map(Self)
    }

    /// The value of a line.
    pub fn text(&self, key: &str) -> Option<&str> {
        let mut lines = self.0.split(|b| *b == b'\n');
        let value = lines.find_map(|l| l.strip_prefix(key.as_bytes())?.strip_prefix(b":"))?;
        std::str::from_utf8(value).ok().map(str::trim)
    }

    /// The thread's name, which is shown with `\\` and `\n` for a backslash and a newline (fs/proc/array.c proc_task_name).
    pub fn name(&self) -> Vec<u8> {
        let line = self.0.strip_prefix(b"Name:\t").unwrap_or_default();
        let line = line.split(|b| *b == b'\n').next().unwrap_or_default();
        let mut name = Vec::with_capacity(line.len());
        let mut bytes = line.iter();
        while let Some(byte) = bytes.next() {
            name.push(match byte {
                b'\\' => bytes.next().map_or(b'\\', |b| if *b == b'n' { b'\n' } else { *b }),
                _ => *byte,
            });
        }
        name
    }

    /// A value in hex: signal and capability sets.
    pub fn hex(&self, key: &str) -> u64 {
        self.text(key).and_then(|t| u64::from_str_radix(t, 16).ok()).unwrap_or(0)
    }

    /// A decimal value.
    pub fn number(&self, key: &str) -> Option<u64> {
        self.text(key)?.split_whitespace().next()?.parse().ok()
    }

    /// An id as its own namespace has it: the last one of the lines NSpid, NStgid, NSpgid, NSsid.
    pub fn inner(&self, key: &str) -> Option<u64> {
        self.text(key)?.split_whitespace().last()?.parse().ok()
    }

    /// Four ids: real, effective, saved, filesystem.
    pub fn ids(&self, key: &str) -> [u32; 4] {
        let mut ids = [0; 4];
        for (id, text) in ids.iter_mut().zip(self.text(key).unwrap_or_default().split_whitespace()) {
            *id = text.parse().unwrap_or(0);
        }
        ids
    }
}

/// The numbers of /proc/PID/stat behind the command's name: `field(n)` with the man page's n, from 3 on.
pub struct Stat {
    path: String,
    fields: Vec<String>,
}

impl Stat {
    /// Reads it.
    pub fn of(tid: i32) -> Result<Self> {
        let path = format!("/proc/{tid}/stat");
        let text = String::from_utf8_lossy(&read(&path)?).into_owned();
        Self::parse(path, text)
    }

    fn parse(path: String, text: String) -> Result<Self> {
        // The name may hold blanks and parentheses: the last one ends it.
        let Some((_, rest)) = text.rsplit_once(") ") else { return Err(unexpected(&path, text)) };
        Ok(Self { path, fields: rest.split_whitespace().map(str::to_owned).collect() })
    }

    /// Field number `n` of proc(5).
    pub fn field(&self, n: usize) -> Result<i64> {
        let text = n.checked_sub(3).and_then(|i| self.fields.get(i)).map_or("", String::as_str);
        text.parse()
            .or_else(|_| text.parse::<u64>().map(|v| v as i64))
            .map_err(|_| unexpected(&self.path, format!("field {n}: {text:?}")))
    }
}

/// A symbolic link below /proc/PID, as bytes.
pub fn link(pid: i32, name: &str) -> Result<Vec<u8>> {
    let path = format!("/proc/{pid}/{name}");
    fs::read_link(&path).map(|p| p.into_os_string().into_vec()).map_err(|e| Error::sys(format!("reading {path}"), e))
}

/// A whole file below /proc/PID.
pub fn bytes(pid: i32, name: &str) -> Result<Vec<u8>> {
    read(&format!("/proc/{pid}/{name}"))
}

/// Numbers of the open descriptors, ascending.
pub fn descriptors(pid: i32) -> Result<Vec<i32>> {
    let path = format!("/proc/{pid}/fd");
    let dir = fs::read_dir(&path).map_err(|e| Error::sys(format!("reading {path}"), e))?;
    let mut fds: Vec<i32> = dir.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect();
    fds.sort_unstable();
    Ok(fds)
}

/// For how long a thread has been asleep: the scheduler notes when it last ran (`se.exec_start` in /proc/TID/sched, milliseconds). `None` where the
/// kernel has no such file.
///
/// The scheduler's clocks stand still while interrupts and the hypervisor have the CPU, so two CPUs' are milliseconds apart (seen: 15): "now" is
/// read on the CPU where the thread slept in. What it is short of real time makes the rest of a sleep longer, never shorter.
pub fn asleep_ns(tid: i32) -> Option<u64> {
    let exec_start = |tid: &str| -> Option<f64> {
        let text = fs::read_to_string(format!("/proc/{tid}/sched")).ok()?;
        let line = text.lines().find(|l| l.starts_with("se.exec_start"))?;
        line.split(':').nth(1)?.trim().parse().ok()
    };
    let then = exec_start(&tid.to_string())?;
    let cpu = Stat::of(tid).ok()?.field(39).ok()?;
    let before = sched_getaffinity(None).ok()?;
    let mut there = CpuSet::new();
    there.set(usize::try_from(cpu).ok()?);
    sched_setaffinity(None, &there).ok()?;
    // Our own note is brought up to date when we are scheduled.
    std::thread::yield_now();
    let now = exec_start("thread-self");
    let _ = sched_setaffinity(None, &before);
    Some(((now? - then).max(0.0) * 1e6) as u64)
}

/// The system call that a thread sleeps in: number and arguments (`/proc/PID/syscall`). `None` if it runs.
pub fn syscall(tid: i32) -> Option<(i64, [u64; 6])> {
    parse_syscall(&fs::read_to_string(format!("/proc/{tid}/syscall")).ok()?)
}

fn parse_syscall(text: &str) -> Option<(i64, [u64; 6])> {
    let mut fields = text.split_whitespace();
    let number: i64 = fields.next()?.parse().ok()?;
    let mut args = [0; 6];
    for a in &mut args {
        *a = u64::from_str_radix(fields.next()?.strip_prefix("0x")?, 16).ok()?;
    }
    (number >= 0).then_some((number, args))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(text: &str) -> Status {
        Status(text.as_bytes().to_vec())
    }

    /// Lines of Linux 6.18 (`Kthread` came with 6.8, `untag_mask` with 6.4); a program in a pid namespace inside another one.
    const STATUS: &str = "Name:\tcat\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t25917\nPid:\t25917\nPPid:\t25839\nTracerPid:\t0\n\
        Uid:\t1000\t1001\t1002\t4294967295\nGid:\t0\t0\t0\t0\nFDSize:\t256\nGroups:\t \nNStgid:\t25917\t12\t3\nNSpid:\t25917\t12\t4\n\
        NSsid:\t0\nKthread:\t0\nVmPeak:\t    3060 kB\nuntag_mask:\t0xffffffffffffffff\nSigQ:\t2/96365\nSigBlk:\tfffffffe7ffbfeff\n\
        CapPrm:\t000001fffeffffff\nSeccomp_filters:\t0\n";

    #[test]
    fn status_as_the_kernel_writes_it() {
        let s = status(STATUS);
        assert_eq!((s.text("State"), s.text("Groups")), (Some("S (sleeping)"), Some("")));
        assert_eq!((s.number("Pid"), s.number("VmPeak"), s.number("SigQ")), (Some(25917), Some(3060), None));
        assert_eq!((s.inner("NStgid"), s.inner("NSpid"), s.inner("NSsid")), (Some(3), Some(4), Some(0)));
        assert_eq!((s.hex("SigBlk"), s.hex("CapPrm")), (0xffff_fffe_7ffb_feff, 0x1ff_feff_ffff));
        assert_eq!(s.ids("Uid"), [1000, 1001, 1002, u32::MAX]);
        assert_eq!(s.name(), b"cat");
    }

    #[test]
    fn status_that_lacks_lines_or_has_strange_ones() {
        let digits = "9".repeat(40);
        let s = status(&format!("Name:\tx\nPid:\t{digits}\nSigBlk:\t{digits}\nUid:\t1\t{digits}\nNSpid:\t\n"));
        assert_eq!((s.number("Pid"), s.hex("SigBlk"), s.hex("SigIgn")), (None, 0, 0));
        assert_eq!((s.ids("Uid"), s.ids("Gid")), ([1, 0, 0, 0], [0; 4]));
        assert_eq!((s.inner("NSpid"), s.inner("NStgid"), s.text("State")), (None, None, None));
        assert_eq!(status("").name(), b"");
    }

    /// A name cannot pass for a line of its own, and comes back byte for byte.
    #[test]
    fn names_with_strange_letters() {
        let s = Status(b"Name:\tx\\nPid:\t7\\\\ \xff\nPid:\t8\n".to_vec());
        assert_eq!(s.name(), b"x\nPid:\t7\\ \xff");
        assert_eq!(s.number("Pid"), Some(8));
    }

    #[test]
    fn stat_behind_any_name() {
        let rest =
            "R 25839 25839 27435 0 -1 4194304 101 0 0 0 0 0 0 0 20 0 1 0 184941 3133440 412 18446744073709551615 1";
        for name in ["cat", "a b (c) d", "Z)) R 1 2", ") ", "\n"] {
            let stat = Stat::parse("stat".into(), format!("25919 ({name}) {rest}\n")).unwrap();
            assert_eq!(
                (stat.field(4).unwrap(), stat.field(8).unwrap(), stat.field(25).unwrap()),
                (25839, -1, -1),
                "{name}"
            );
        }
    }

    #[test]
    fn stat_that_is_too_short_or_wrong() {
        assert!(Stat::parse("stat".into(), "25919 (cat".into()).is_err());
        let digits = "9".repeat(40);
        let stat = Stat::parse("stat".into(), format!("25919 (cat) R 1 {digits}\n")).unwrap();
        assert_eq!(stat.field(4).unwrap(), 1);
        for missing in [0, 2, 3, 5, 6, 52] {
            assert!(stat.field(missing).is_err(), "field {missing}");
        }
    }

    #[test]
    fn syscalls() {
        let text = "0 0x3 0x7f9badf31000 0x20000 0x7f9badfc0b60 0xffffffff 0x0 0x7fffbfc6de98 0x7f9bae0a92ad\n";
        assert_eq!(parse_syscall(text), Some((0, [3, 0x7f9b_adf3_1000, 0x20000, 0x7f9b_adfc_0b60, 0xffff_ffff, 0])));
        let digits = format!("0 0x{}", "1".repeat(40));
        for none in ["running\n", "-1 0x7fffbfc6de98 0x7f9bae0a92ad\n", "", "0 0x3 0x4\n", "0 3 4 5 6 7 8\n", &digits] {
            assert_eq!(parse_syscall(none), None, "{none}");
        }
    }
}
