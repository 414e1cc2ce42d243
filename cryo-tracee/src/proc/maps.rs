//! The mappings of a process, as /proc/PID/smaps shows them (proc(5)).

use std::fs;
use std::io::{BufRead, BufReader};

use crate::error::Context;
use crate::proc::unexpected;
use crate::{Error, Result};

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
