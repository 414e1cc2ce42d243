//! The mappings of a process, as /proc/PID/smaps shows them (proc(5)).

use std::fs;
use std::io::{BufRead, BufReader};

use crate::error::Context;
use crate::error::unexpected;
use crate::{Error, Result, version};

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

    /// It is the only flag of those kernels that is shown so, and it never stands without `lo`.
    fn name_lock_on_fault(&mut self) {
        if self.has("lo")
            && let Some(flag) = self.flags.iter_mut().find(|flag| *flag == b"??")
        {
            *flag = *b"lf";
        }
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
    let mut all = parse_mappings(BufReader::with_capacity(64 << 10, file), &path)?;
    // Before 6.3 the kernel had no letters for VM_LOCKONFAULT, and showed `??`.
    if version::is_before(6, 3) {
        all.iter_mut().for_each(Mapping::name_lock_on_fault);
    }
    Ok(all)
}

/// The same without their flags and sizes, as `/proc/PID/maps` lists them: the kernel need not look at every page.
pub fn short_mappings(pid: i32) -> Result<Vec<Mapping>> {
    let path = format!("/proc/{pid}/maps");
    let text = fs::read(&path).map_err(|e| Error::sys(format!("reading {path}"), e))?;
    parse_mappings(&text[..], &path)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A block as Linux 6.18 writes it, under a header that the test brings.
    fn smaps(header: &[u8]) -> Vec<u8> {
        let attributes = "Size:                  4 kB\nKernelPageSize:     2048 kB\nMMUPageSize:           4 kB\n\
            Rss:                   4 kB\nPss_Dirty:             0 kB\nSwap:                  8 kB\nSwapPss:               0 kB\n\
            Locked:                0 kB\nTHPeligible:           0\nVmFlags: rd wr mr mw me ac \n";
        [header, b"\n", attributes.as_bytes()].concat()
    }

    fn one(header: &[u8]) -> Mapping {
        let all = parse_mappings(&smaps(header)[..], "smaps").unwrap();
        let [one] = <[Mapping; 1]>::try_from(all).unwrap();
        one
    }

    #[test]
    fn old_kernels_have_no_name_for_locks_on_fault() {
        let named = |flags: &str| {
            let mut m = Mapping {
                flags: flags.split(' ').map(|f| f.as_bytes().try_into().unwrap()).collect(),
                ..Mapping::range(0, 1)
            };
            m.name_lock_on_fault();
            m.has("lf")
        };
        assert!(named("rd wr lo ?? ac"));
        assert!(!named("rd wr ?? ac"));
        assert!(!named("rd wr lo ac"));
    }

    #[test]
    fn as_the_kernel_writes_it() {
        let m = one(b"7f2ad0568000-7f2ad056a000 rw-s 00001000 fe:0a 10018862                   /tmp/data");
        assert_eq!((m.start, m.end, m.offset), (0x7f2a_d056_8000, 0x7f2a_d056_a000, 0x1000));
        assert_eq!((m.prot, m.shared, m.dev, m.ino), (3, true, (0xfe, 0x0a), 10_018_862));
        assert_eq!(m.path, b"/tmp/data");
        assert_eq!((m.page_size, m.swapped), (2 << 20, 8 << 10));
        assert!(m.has("ac") && m.has("rd") && !m.has("gd"));
    }

    #[test]
    fn without_a_name() {
        let m = one(b"7fffe5348000-7fffe5369000 ---p 00000000 00:00 0 ");
        assert_eq!((m.prot, m.shared, m.ino), (0, false, 0));
        assert_eq!(m.path, b"");
        assert_eq!(one(b"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]").prot, 4);
    }

    /// Paths of a file that a person named badly; /proc escapes a newline only, and puts ` (deleted)` behind a path that is gone.
    #[test]
    fn strange_paths() {
        let path = |text: &[u8]| {
            one(&[b"7f2ad0569000-7f2ad056a000 r--p 00000000 fe:00 10027111                   ", text].concat()).path
        };
        assert_eq!(path(b"/tmp/a b/x\\012y"), b"/tmp/a b/x\ny");
        assert_eq!(path(b"/tmp/\\040 \\0123"), b"/tmp/\\040 \n3");
        assert_eq!(path(b"/tmp/gone  (deleted)"), b"/tmp/gone  (deleted)");
        assert_eq!(path(b"/tmp/\xff\xfe"), b"/tmp/\xff\xfe");
        assert_eq!(path(b"/tmp/blanks at the end  "), b"/tmp/blanks at the end  ");
        assert_eq!(path(b"[anon:Size:  7 kB]"), b"[anon:Size:  7 kB]");
        let long = [b"/".as_slice(), &"\u{fc}".repeat(300).into_bytes()].concat();
        assert_eq!(path(&long), long);
    }

    /// Linux 6.1 has fewer lines, and a later one has more, and flags of more letters.
    #[test]
    fn other_kernels() {
        let text = b"400000-401000 r-xp 00000000 fe:00 1 /x\nSize: 4 kB\nVmFlags: rd ex zz longer q \nNewField: 3 kB\nVmNews:\n\
            401000-402000 r--p 00001000 fe:00 1 /x\n";
        let all = parse_mappings(&text[..], "smaps").unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].flags, [*b"rd", *b"ex", *b"zz"]);
        assert_eq!((all[1].page_size, all[1].swapped, all[1].flags.len()), (4096, 0, 0));
        assert_eq!(parse_mappings(&b""[..], "smaps").unwrap(), []);
    }

    /// Text that makes no sense is an error, and no mapping that is wrong.
    #[test]
    fn not_understood() {
        let digits = "1".repeat(40);
        for bad in [
            format!("{digits}-{digits} r--p 00000000 fe:00 1 /x\n"),
            format!("400000-401000 r--p 00000000 fe:00 {digits} /x\n"),
            format!("400000-401000 r--p {digits} fe:00 1 /x\n"),
            format!("400000-401000 r--p 00000000 {digits}:00 1 /x\n"),
            "400000 r--p 00000000 fe:00 1 /x\n".to_owned(),
            "400000-401000 r--p 00000000 fe:00\n".to_owned(),
            "400000-401000\n".to_owned(),
            "\n".to_owned(),
            "Size: 4 kB\n".to_owned(),
        ] {
            assert!(parse_mappings(bad.as_bytes(), "smaps").is_err(), "{bad}");
        }
    }
}
