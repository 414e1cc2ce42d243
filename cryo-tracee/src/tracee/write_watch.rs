//! Which pages a program writes to while it runs: userfaultfd(2) with asynchronous write protection (Linux 6.7), asked by PAGEMAP_SCAN.
//!
//! A write to a protected page takes the protection off, in the kernel, and nobody waits for anybody: the program, and the kernel on its behalf,
//! notice nothing but a page fault. The descriptor is of the program's memory, but only ours. When it is closed, also because we were killed,
//! the kernel takes off all protection, and joins the mappings again that it would have joined.
//!
//! What is not noticed: a write through a page that is pinned (direct I/O that was under way when the page was protected).

use std::fs::File;
use std::os::fd::OwnedFd;

use linux_raw_sys::general::{UFFD_FEATURE_WP_ASYNC, UFFD_FEATURE_WP_UNPOPULATED, uffdio_writeprotect};

use super::userfaultfd::{self, Range, ioctl};
use crate::error::Context;
use crate::proc::{
    self, PAGE_IS_HUGE, PAGE_IS_PFNZERO, PAGE_IS_PRESENT, PAGE_IS_SWAPPED, PAGE_IS_WRITTEN, Question, ask,
};
use crate::{Process, Remote, Result, fault};

const UFFDIO_WRITEPROTECT: libc::c_ulong = 0xc018_aa06;
const UFFDIO_REGISTER_MODE_WP: u64 = 1 << 1;
const PM_SCAN_WP_MATCHING: u64 = 1 << 0;
const PM_SCAN_CHECK_WPASYNC: u64 = 1 << 1;

/// The watch over a program's memory. Dropping it takes all traces away.
pub struct WriteWatch {
    uffd: OwnedFd,
    pagemap: File,
}

/// How much of a range is there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Census {
    /// Bytes in small pages.
    pub small: u64,
    /// Bytes in huge pages (THP).
    pub huge: u64,
}

impl WriteWatch {
    /// Begins a watch over the memory of a process, which watches no page yet. The process stands still; that it is let go ends nothing.
    ///
    /// `maps` are its mappings. An error where the kernel, or the process, does not allow it.
    pub fn begin(process: &mut Process, maps: &[proc::Mapping]) -> Result<Self> {
        let rips = process.threads.iter().map(|t| Ok(t.regs()?.rip)).collect::<Result<Vec<u64>>>()?;
        let pagemap = proc::pagemap(process.live_tid())?;
        let mut remote = Remote::enter(&mut process.threads[0], process.arch, &process.memory, maps, &rips)?;
        let uffd = remote.userfaultfd()?;
        drop(remote);
        userfaultfd::ask_for(&uffd, UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_UNPOPULATED, || {
            "asking for write protection without waiting (userfaultfd, Linux 6.7)".into()
        })?;
        Ok(Self { uffd, pagemap })
    }

    /// Watches this mapping, all of it: a part would be split off.
    pub fn add(&self, range: Range) -> Result<()> {
        let what = || format!("watching memory {:#x}-{:#x}", range.0, range.1);
        userfaultfd::register(&self.uffd, range, UFFDIO_REGISTER_MODE_WP, what)
    }

    /// How much there is in a range.
    pub fn census(&self, (start, end): Range) -> Result<Census> {
        let question = Question { told: PAGE_IS_HUGE, ..there() };
        let mut census = Census::default();
        for region in self.ask((start, end), question)? {
            let len = region.end - region.start;
            if region.categories & PAGE_IS_HUGE == 0 { census.small += len } else { census.huge += len }
        }
        Ok(census)
    }

    /// The pages of a watched range that are there and were written to since they were protected, or were never; huge ones are among them always.
    ///
    /// An error if not all of what is mapped there is watched any more: it was mapped anew, or moved to there. Or all of the memory is another: the process
    /// executes another program.
    pub fn written(&self, range: Range) -> Result<Vec<Range>> {
        let there = there();
        let question = Question { flags: PM_SCAN_CHECK_WPASYNC, all: there.all | PAGE_IS_WRITTEN, ..there };
        let written = self.ask(range, question)?;
        // Of memory that is gone the page map says that nothing was written to; this is an error then.
        self.add(range)?;
        Ok(written.into_iter().map(|r| (r.start, r.end)).collect())
    }

    /// Is it we who watch this mapping, which is watched by somebody?
    pub fn is_ours(&self, range: Range) -> bool {
        self.add(range).is_ok()
    }

    /// The same without huge pages; and protects all that it names. A protected huge page would be split by the first write.
    pub fn take_written(&self, range: Range) -> Result<Vec<Range>> {
        let there = there();
        let question = Question {
            flags: PM_SCAN_WP_MATCHING,
            all: there.all | PAGE_IS_WRITTEN | PAGE_IS_HUGE,
            inverted: there.inverted | PAGE_IS_HUGE,
            ..there
        };
        Ok(self.ask(range, question)?.into_iter().map(|r| (r.start, r.end)).collect())
    }

    /// Takes the protection off a range.
    pub fn release(&self, range: Range) {
        let mut unprotect = uffdio_writeprotect { range: userfaultfd::range(range), mode: 0 };
        fault::moment();
        // What fails here is done when the descriptor is closed.
        let _ = ioctl(&self.uffd, UFFDIO_WRITEPROTECT, &mut unprotect);
    }

    fn ask(&self, (start, end): Range, question: Question) -> Result<Vec<proc::Region>> {
        let about = || format!("asking which pages were written to from {start:#x} to {end:#x}");
        fault::point().about(about)?;
        ask(&self.pagemap, start, end, question).about(about)
    }
}

/// Pages that are there, in memory or on swap. The shared zero page is as good as absent.
fn there() -> Question {
    Question {
        any: PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
        all: PAGE_IS_PFNZERO,
        inverted: PAGE_IS_PFNZERO,
        ..Question::default()
    }
}
