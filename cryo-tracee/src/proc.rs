//! What /proc tells of a process (proc(5)). Fields are found by name or by rule, never by column alone where the kernel may add some.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::ffi::OsStringExt;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::error::Context;
pub use crate::fdinfo::{FdDirs, FdInfo};
use crate::{Error, Result};

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

fn unexpected(file: &str, text: impl AsRef<[u8]>) -> Error {
    Error::Proc { file: file.into(), text: String::from_utf8_lossy(text.as_ref()).into_owned() }
}

/// Threads of a process, the main thread first.
pub fn tasks(pid: i32) -> Result<Vec<i32>> {
    let path = format!("/proc/{pid}/task");
    let dir = match fs::read_dir(&path) {
        Ok(d) => d,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::Refused(format!("there is no process {pid}")));
        }
        Err(e) => return Err(Error::sys(format!("reading {path}"), e)),
    };
    let mut tids: Vec<i32> = dir.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect();
    tids.sort_by_key(|t| (*t != pid, *t));
    Ok(tids)
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

/// One mapping of /proc/PID/smaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// First address.
    pub start: u64,
    /// First address behind it.
    pub end: u64,
    /// PROT_* bits.
    pub prot: u32,
    /// MAP_SHARED?
    pub shared: bool,
    /// Offset in the file.
    pub offset: u64,
    /// Major and minor device number.
    pub dev: (u32, u32),
    /// Inode; 0 for none.
    pub ino: u64,
    /// Path or name as shown, ` (deleted)` included.
    pub path: Vec<u8>,
    /// The two letters of each of its VmFlags.
    pub flags: Vec<[u8; 2]>,
    /// KernelPageSize in bytes: more than 4096 with hugetlbfs.
    pub page_size: u64,
    /// Bytes that are swapped out.
    pub swapped: u64,
}

impl Mapping {
    /// A mapping of which only the range matters.
    pub fn range(start: u64, end: u64) -> Self {
        Self {
            start,
            end,
            prot: 0,
            shared: false,
            offset: 0,
            dev: (0, 0),
            ino: 0,
            path: Vec::new(),
            flags: Vec::new(),
            page_size: 4096,
            swapped: 0,
        }
    }

    /// Has it this VmFlag?
    pub fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|f| f == flag.as_bytes())
    }

    fn parse_header(line: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(line.get(..line.len().min(200))?).unwrap_or_else(|e| {
            // Only the path can be something else than ASCII.
            std::str::from_utf8(&line[..e.valid_up_to()]).unwrap_or("")
        });
        let mut fields = text.split_ascii_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let perms = fields.next()?.as_bytes();
        let offset = fields.next()?;
        let (major, minor) = fields.next()?.split_once(':')?;
        let ino = fields.next()?;
        let mut prot = 0;
        for (bit, c) in [(1, b'r'), (2, b'w'), (4, b'x')] {
            if perms.contains(&c) {
                prot |= bit;
            }
        }
        // The path is the rest of the line behind five fields and blanks.
        let mut rest = line;
        for _ in 0..5 {
            let gap = rest.iter().position(|b| *b == b' ').unwrap_or(rest.len());
            rest = rest[gap..].trim_ascii_start();
        }
        Some(Self {
            start: u64::from_str_radix(start, 16).ok()?,
            end: u64::from_str_radix(end, 16).ok()?,
            prot,
            shared: perms.get(3) == Some(&b's'),
            offset: u64::from_str_radix(offset, 16).ok()?,
            dev: (u32::from_str_radix(major, 16).ok()?, u32::from_str_radix(minor, 16).ok()?),
            ino: ino.parse().ok()?,
            path: unescape(rest),
            flags: Vec::new(),
            page_size: 4096,
            swapped: 0,
        })
    }
}

/// /proc shows a newline in a path as `\012`.
fn unescape(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((first, tail)) = rest.split_first() {
        if let Some(t) = rest.strip_prefix(b"\\012") {
            out.push(b'\n');
            rest = t;
        } else {
            out.push(*first);
            rest = tail;
        }
    }
    out
}

/// The mappings of a process, as `/proc/PID/smaps` lists them.
pub fn mappings(pid: i32) -> Result<Vec<Mapping>> {
    let path = format!("/proc/{pid}/smaps");
    let file = fs::File::open(&path).map_err(|e| Error::sys(format!("reading {path}"), e))?;
    parse_mappings(BufReader::with_capacity(64 << 10, file), &path)
}

/// Parses the text of smaps.
pub fn parse_mappings(mut text: impl BufRead, path: &str) -> Result<Vec<Mapping>> {
    let mut all: Vec<Mapping> = Vec::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        if text.read_until(b'\n', &mut line).about(|| format!("reading {path}"))? == 0 {
            return Ok(all);
        }
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        // Attributes are `Name: value` with a capital; a header starts with a lower-case hex digit.
        if line.first().is_some_and(u8::is_ascii_uppercase) {
            let Some(last) = all.last_mut() else { return Err(unexpected(path, line)) };
            if let Some(flags) = line.strip_prefix(b"VmFlags:") {
                last.flags = flags.trim_ascii().split(|b| *b == b' ').filter_map(|f| f.try_into().ok()).collect();
            } else if let Some(size) = line.strip_prefix(b"KernelPageSize:") {
                last.page_size = kib(size).unwrap_or(4096);
            } else if let Some(size) = line.strip_prefix(b"Swap:") {
                last.swapped = kib(size).unwrap_or(0);
            }
        } else {
            all.push(Mapping::parse_header(line).ok_or_else(|| unexpected(path, line))?);
        }
    }
}

/// A line's `1234 kB` in bytes.
fn kib(text: &[u8]) -> Option<u64> {
    let digits = text.trim_ascii().split(|b| *b == b' ').next()?;
    Some(std::str::from_utf8(digits).ok()?.parse::<u64>().ok()? << 10)
}

/// A symbolic link below /proc/PID, as bytes.
pub fn link(pid: i32, name: &str) -> Result<Vec<u8>> {
    let path = format!("/proc/{pid}/{name}");
    fs::read_link(&path).map(|p| p.into_os_string().into_vec()).map_err(|e| Error::sys(format!("reading {path}"), e))
}

/// The auxiliary vector.
pub fn auxv(pid: i32) -> Result<Vec<u64>> {
    let bytes = read(&format!("/proc/{pid}/auxv"))?;
    Ok(bytes.as_chunks::<8>().0.iter().map(|w| u64::from_le_bytes(*w)).collect())
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
    let text = fs::read_to_string(format!("/proc/{tid}/syscall")).ok()?;
    let mut fields = text.split_whitespace();
    let number: i64 = fields.next()?.parse().ok()?;
    let mut args = [0; 6];
    for a in &mut args {
        *a = u64::from_str_radix(fields.next()?.strip_prefix("0x")?, 16).ok()?;
    }
    (number >= 0).then_some((number, args))
}

/// Ranges of pages that are present or swapped out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Present {
    /// First address.
    pub start: u64,
    /// First address behind.
    pub end: u64,
    /// A page of the mapped file (or shared memory), not the process's own copy.
    pub file: bool,
    /// No page at all, but a guard (MADV_GUARD_INSTALL, Linux 6.13): touching it is SIGSEGV.
    pub guard: bool,
}

/// Which pages of `start..end` hold something. PAGEMAP_SCAN where the kernel has it (6.7), /proc/PID/pagemap otherwise.
pub fn present(pagemap: &fs::File, start: u64, end: u64) -> Result<Vec<Present>> {
    crate::fault::point().about(|| "reading the page map".into())?;
    let scanned = match scan(pagemap, start, end, true) {
        // A kernel that has the scan but not this category (before 6.15).
        Err(e) if e.raw_os_error() == Some(libc::EINVAL) => scan(pagemap, start, end, false),
        other => other,
    };
    match scanned {
        Err(e) if matches!(e.raw_os_error(), Some(libc::ENOTTY | libc::EINVAL)) => read_pagemap(pagemap, start, end),
        other => other,
    }
    .about(|| format!("reading the page map from {start:#x} to {end:#x}"))
}

/// Opens /proc/PID/pagemap for [`present`].
pub fn pagemap(pid: i32) -> Result<fs::File> {
    let path = format!("/proc/{pid}/pagemap");
    fs::File::open(&path).map_err(|e| Error::sys(format!("opening {path}"), e))
}

fn scan(pagemap: &fs::File, start: u64, end: u64, guards: bool) -> std::io::Result<Vec<Present>> {
    use std::os::fd::AsRawFd;
    // linux/fs.h: struct pm_scan_arg, struct page_region; categories.
    const PAGE_IS_FILE: u64 = 1 << 2;
    const PAGE_IS_PRESENT: u64 = 1 << 3;
    const PAGE_IS_SWAPPED: u64 = 1 << 4;
    const PAGE_IS_PFNZERO: u64 = 1 << 5;
    const PAGE_IS_GUARD: u64 = 1 << 8;
    const PAGEMAP_SCAN: libc::c_ulong = 0xc060_6610;
    #[repr(C)]
    #[derive(Default)]
    struct ScanArg {
        size: u64,
        flags: u64,
        start: u64,
        end: u64,
        walk_end: u64,
        vec: u64,
        vec_len: u64,
        max_pages: u64,
        category_inverted: u64,
        category_mask: u64,
        category_anyof_mask: u64,
        return_mask: u64,
    }
    #[repr(C)]
    #[derive(Clone, Copy, Default)]
    struct Region {
        start: u64,
        end: u64,
        categories: u64,
    }
    let mut out = Vec::new();
    let mut at = start;
    let mut regions = vec![Region::default(); 512];
    while at < end {
        let mut arg = ScanArg {
            size: size_of::<ScanArg>() as u64,
            start: at,
            end,
            vec: regions.as_mut_ptr() as u64,
            vec_len: regions.len() as u64,
            category_anyof_mask: PAGE_IS_PRESENT | PAGE_IS_SWAPPED | if guards { PAGE_IS_GUARD } else { 0 },
            // The shared zero page, mapped when untouched memory is only read, is as good as absent.
            category_inverted: PAGE_IS_PFNZERO,
            category_mask: PAGE_IS_PFNZERO,
            return_mask: PAGE_IS_FILE | if guards { PAGE_IS_GUARD } else { 0 },
            ..ScanArg::default()
        };
        // SAFETY: `arg` and the vector it points to have the kernel's layout and outlive the call; vec_len bounds what is written.
        let n = unsafe { libc::ioctl(pagemap.as_raw_fd(), PAGEMAP_SCAN, &raw mut arg) };
        if n < 0 {
            return Err(std::io::Error::last_os_error());
        }
        out.extend(regions[..n as usize].iter().map(|r| Present {
            start: r.start,
            end: r.end,
            file: r.categories & PAGE_IS_FILE != 0,
            guard: r.categories & PAGE_IS_GUARD != 0,
        }));
        if arg.walk_end <= at {
            break;
        }
        at = arg.walk_end;
    }
    Ok(out)
}

fn read_pagemap(pagemap: &fs::File, start: u64, end: u64) -> std::io::Result<Vec<Present>> {
    use std::os::unix::fs::FileExt;
    let mut out: Vec<Present> = Vec::new();
    let mut buf = vec![0; 64 << 10];
    let mut at = start;
    while at < end {
        let want = (((end - at) / 4096) * 8).min(buf.len() as u64) as usize;
        let n = pagemap.read_at(&mut buf[..want], at / 4096 * 8)? / 8 * 8;
        if n == 0 {
            break;
        }
        for entry in buf[..n].as_chunks::<8>().0 {
            let e = u64::from_le_bytes(*entry);
            if e >> 62 != 0 {
                let file = e >> 61 & 1 != 0;
                match out.last_mut() {
                    Some(last) if last.end == at && last.file == file => last.end += 4096,
                    _ => out.push(Present { start: at, end: at + 4096, file, guard: false }),
                }
            }
            at += 4096;
        }
    }
    Ok(out)
}
