//! Which pages of a process there are: /proc/PID/pagemap, and the ioctl PAGEMAP_SCAN on it.

use std::fs;

use crate::error::Context;
use crate::{Error, Result};

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
///
/// Where nothing is mapped but the process's own pages (`own`), it is not asked whose each of them is: the kernel would look at 64 bytes more of each, which
/// are in no cache (17 ms for 1 GiB, and 3 ms without). And it is asked which are not there: what the kernel tells takes three times as long as what it passes over.
pub fn present(pagemap: &fs::File, start: u64, end: u64, own: bool) -> Result<Vec<Present>> {
    crate::fault::point().about(|| "reading the page map".into())?;
    let scan = |guards| {
        if own { scan_own(pagemap, start, end, guards) } else { scan(pagemap, start, end, PAGE_IS_FILE | guards) }
    };
    let scanned = match scan(PAGE_IS_GUARD) {
        // A kernel that has the scan but not this category (before 6.15).
        Err(e) if e.raw_os_error() == Some(libc::EINVAL) => scan(0),
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

/// What the page map says of one page (Documentation/admin-guide/mm/pagemap.rst).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry(u64);

impl Entry {
    /// A page of the process's own, in memory or swapped out; a guard is none.
    pub fn own(self) -> bool {
        self.0 >> 62 != 0 && self.0 >> 61 & 1 == 0 && self.0 >> 58 & 1 == 0
    }

    /// On swap, and not in memory.
    pub fn swapped(self) -> bool {
        self.0 >> 62 == 1
    }

    /// Nobody else has it. Large pages are taken for shared if any part of them may be.
    pub fn exclusive(self) -> bool {
        self.0 >> 56 & 1 != 0
    }

    /// Where it is, in memory or on swap; 0 if we may not know that (without CAP_SYS_ADMIN).
    pub fn place(self) -> u64 {
        self.0 & ((1 << 55) - 1)
    }
}

/// The entries of the pages of `start..end`.
pub fn entries(pagemap: &fs::File, start: u64, end: u64) -> Result<Vec<Entry>> {
    use std::os::unix::fs::FileExt;
    let about = || format!("reading the page map from {start:#x} to {end:#x}");
    crate::fault::point().about(about)?;
    let mut bytes = vec![0; ((end - start) / 4096 * 8) as usize];
    pagemap.read_exact_at(&mut bytes, start / 4096 * 8).about(about)?;
    Ok(bytes.as_chunks::<8>().0.iter().map(|entry| Entry(u64::from_le_bytes(*entry))).collect())
}

/// Categories of PAGEMAP_SCAN (linux/fs.h).
pub(crate) const PAGE_IS_WRITTEN: u64 = 1 << 1;
const PAGE_IS_FILE: u64 = 1 << 2;
pub(crate) const PAGE_IS_PRESENT: u64 = 1 << 3;
pub(crate) const PAGE_IS_SWAPPED: u64 = 1 << 4;
pub(crate) const PAGE_IS_PFNZERO: u64 = 1 << 5;
pub(crate) const PAGE_IS_HUGE: u64 = 1 << 6;
const PAGE_IS_GUARD: u64 = 1 << 8;

/// Which pages are asked for, and what is told of them.
#[derive(Clone, Copy, Default)]
pub(crate) struct Question {
    /// PM_SCAN_*.
    pub flags: u64,
    /// Categories that count when a page has them not.
    pub inverted: u64,
    /// A page has all of these.
    pub all: u64,
    /// A page has one of these, if there are any.
    pub any: u64,
    /// What is told.
    pub told: u64,
}

/// `struct pm_scan_arg`.
#[repr(C)]
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

/// `struct page_region`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct Region {
    pub start: u64,
    pub end: u64,
    pub categories: u64,
}

/// Asks PAGEMAP_SCAN about `start..end`, as often as it takes.
pub(crate) fn ask(pagemap: &fs::File, start: u64, end: u64, question: Question) -> std::io::Result<Vec<Region>> {
    ask_up_to(pagemap, start, end, question).map(|(regions, _)| regions)
}

/// The same; and says up to where it was answered.
fn ask_up_to(pagemap: &fs::File, start: u64, end: u64, question: Question) -> std::io::Result<(Vec<Region>, u64)> {
    use std::os::fd::AsRawFd;
    const PAGEMAP_SCAN: libc::c_ulong = 0xc060_6610;
    let mut out = Vec::new();
    let mut at = start;
    let mut regions = vec![Region::default(); 512];
    while at < end {
        let mut arg = ScanArg {
            size: size_of::<ScanArg>() as u64,
            flags: question.flags,
            start: at,
            end,
            walk_end: 0,
            vec: regions.as_mut_ptr() as u64,
            vec_len: regions.len() as u64,
            max_pages: 0,
            category_inverted: question.inverted,
            category_mask: question.all,
            category_anyof_mask: question.any,
            return_mask: question.told,
        };
        // SAFETY: `arg` and the vector it points to have the kernel's layout and outlive the call; vec_len bounds what is written.
        let n = unsafe { libc::ioctl(pagemap.as_raw_fd(), PAGEMAP_SCAN, &raw mut arg) };
        if n < 0 {
            return Err(std::io::Error::last_os_error());
        }
        out.extend_from_slice(&regions[..n as usize]);
        if arg.walk_end <= at {
            break;
        }
        at = arg.walk_end;
    }
    Ok((out, at))
}

/// `told`: what of PAGE_IS_FILE and PAGE_IS_GUARD is to be told.
fn scan(pagemap: &fs::File, start: u64, end: u64, told: u64) -> std::io::Result<Vec<Present>> {
    let question = Question {
        any: PAGE_IS_PRESENT | PAGE_IS_SWAPPED | told & PAGE_IS_GUARD,
        // The shared zero page, mapped when untouched memory is only read, is as good as absent.
        inverted: PAGE_IS_PFNZERO,
        all: PAGE_IS_PFNZERO,
        told,
        ..Question::default()
    };
    let regions = ask(pagemap, start, end, question)?;
    let present = |r: Region| Present {
        start: r.start,
        end: r.end,
        file: r.categories & PAGE_IS_FILE != 0,
        guard: r.categories & PAGE_IS_GUARD != 0,
    };
    Ok(regions.into_iter().map(present).collect())
}

/// The pages of a mapping in which there are none but the process's own: all but those that are not there. `guards` is PAGE_IS_GUARD where the kernel knows that.
fn scan_own(pagemap: &fs::File, start: u64, end: u64, guards: u64) -> std::io::Result<Vec<Present>> {
    // Not in memory, or the shared zero page.
    let question = Question {
        any: PAGE_IS_PRESENT | PAGE_IS_PFNZERO,
        inverted: PAGE_IS_PRESENT,
        told: PAGE_IS_SWAPPED | guards,
        ..Question::default()
    };
    let (regions, answered) = ask_up_to(pagemap, start, end, question)?;
    let mut out: Vec<Present> = Vec::new();
    let mut there = |start: u64, end: u64, guard: bool| match out.last_mut() {
        Some(last) if last.end == start && last.guard == guard => last.end = end,
        _ if start < end => out.push(Present { start, end, file: false, guard }),
        _ => {}
    };
    let mut at = start;
    for r in regions {
        there(at, r.start, false);
        if r.categories != 0 {
            there(r.start, r.end, r.categories & PAGE_IS_GUARD != 0);
        }
        at = r.end;
    }
    there(at, answered.max(at), false);
    if answered < end {
        out.extend(scan(pagemap, answered.max(at), end, guards)?);
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

#[cfg(test)]
mod tests {
    use std::io::{Seek, SeekFrom, Write};

    use super::*;

    const PRESENT: u64 = 1 << 63;
    const SWAPPED: u64 = 1 << 62;
    const FILE: u64 = 1 << 61;
    const SOFT_DIRTY: u64 = 1 << 55;

    /// The page map of a process whose pages from 0x10000 on are these: what the kernel has in /proc/PID/pagemap before PAGEMAP_SCAN.
    fn read(entries: &[u64], end: u64) -> Vec<(u64, u64, bool)> {
        let mut file = tempfile::tempfile().unwrap();
        file.seek(SeekFrom::Start(0x10000 / 4096 * 8)).unwrap();
        for entry in entries {
            file.write_all(&entry.to_le_bytes()).unwrap();
        }
        let found = read_pagemap(&file, 0x10000, end).unwrap();
        assert!(found.iter().all(|p| !p.guard));
        found.iter().map(|p| (p.start, p.end, p.file)).collect()
    }

    #[test]
    fn neighbours_of_one_kind_are_one_range() {
        let entries = [PRESENT | 5, SWAPPED | SOFT_DIRTY, 0, PRESENT | FILE, PRESENT | FILE | SOFT_DIRTY, PRESENT];
        assert_eq!(
            read(&entries, 0x16000),
            [(0x10000, 0x12000, false), (0x13000, 0x15000, true), (0x15000, 0x16000, false)]
        );
    }

    #[test]
    fn nothing_there() {
        assert_eq!(read(&[0, SOFT_DIRTY, FILE], 0x13000), []);
        assert_eq!(read(&[], 0x10000), []);
    }

    /// The kernel ends its file at the end of the address space: what is behind it is no page.
    #[test]
    fn shorter_than_asked() {
        assert_eq!(read(&[PRESENT], 0x20000), [(0x10000, 0x11000, false)]);
    }

    /// Pages that were written, read, left alone or made guards: told as what is there, or as what is not, they are the same.
    #[test]
    fn there_and_not_there() {
        const PAGES: usize = 3000;
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        let mut memory = memmap2::MmapOptions::new().len(PAGES * 4096).map_anon().unwrap();
        memory.advise(memmap2::Advice::NoHugePage).unwrap();
        let at = memory.as_ptr() as u64;
        for page in 0..PAGES {
            // In runs, and one by one.
            match if page < 1000 { random.u8(..4) } else { (page / 300 % 4) as u8 } {
                0 => memory[page * 4096] = 1,
                1 => assert_eq!(std::hint::black_box(&memory)[page * 4096], 0),
                2 => {
                    const MADV_GUARD_INSTALL: i32 = 102;
                    // SAFETY: a page of this mapping, which nothing looks at; a kernel that knows no guards says no.
                    unsafe { libc::madvise(memory.as_mut_ptr().add(page * 4096).cast(), 4096, MADV_GUARD_INSTALL) };
                }
                _ => {}
            }
        }
        let pagemap = pagemap(std::process::id() as i32).unwrap();
        for (start, end) in [(0, PAGES), (1, 999), (950, 2000), (1000, 1001), (2999, PAGES)] {
            let [start, end] = [start, end].map(|page| at + page as u64 * 4096);
            let ranges = |all: Vec<Present>| joined(all.iter().map(|p| (p.start, p.end, p.guard)));
            let told = ranges(present(&pagemap, start, end, false).unwrap());
            let passed_over = ranges(present(&pagemap, start, end, true).unwrap());
            assert_eq!(told, passed_over);
            assert!(end - start < 4096 * 100 || !told.is_empty());
        }
    }

    /// Those that touch are one.
    fn joined(ranges: impl Iterator<Item = (u64, u64, bool)>) -> Vec<(u64, u64, bool)> {
        let mut joined: Vec<(u64, u64, bool)> = Vec::new();
        for (start, end, guard) in ranges {
            match joined.last_mut() {
                Some(last) if last.1 == start && last.2 == guard => last.1 = end,
                _ => joined.push((start, end, guard)),
            }
        }
        joined
    }

    /// More entries than one read takes.
    #[test]
    fn many() {
        let entries: Vec<u64> = (0..20_000).map(|n| if n % 2 == 0 { PRESENT } else { 0 }).collect();
        let found = read(&entries, 0x10000 + 20_000 * 4096);
        assert_eq!(found.len(), 10_000);
        assert_eq!(found[9999].0, 0x10000 + 19_998 * 4096);
    }

    /// Both ways to ask say the same of our own memory.
    #[test]
    fn scanned_and_read() {
        let size = 16 * 4096;
        // A page that is written to lies between two that are not.
        let mut memory = vec![0_u8; size + 4096];
        let start = (memory.as_ptr() as u64).next_multiple_of(4096);
        let offset = (start - memory.as_ptr() as u64) as usize;
        for page in [1, 2, 7] {
            memory[offset + page * 4096] = 1;
        }
        let file = pagemap(std::process::id() as i32).unwrap();
        let one = present(&file, start, start + size as u64, false).unwrap();
        let other = read_pagemap(&file, start, start + size as u64).unwrap();
        let pages = |all: &[Present]| {
            let page = |p: &Present| (p.start..p.end).step_by(4096);
            all.iter().flat_map(page).collect::<std::collections::BTreeSet<u64>>()
        };
        // Only what was written to is certain: the allocator may have touched more, and the zero page is none to PAGEMAP_SCAN.
        for page in [1, 2, 7] {
            assert!(pages(&one).contains(&(start + page * 4096)), "scanned: page {page}");
            assert!(pages(&other).contains(&(start + page * 4096)), "read: page {page}");
        }
        assert!(pages(&one).is_subset(&pages(&other)));
    }
}
