//! Pages that a program waits for until they are brought: userfaultfd(2), for who may handle the kernel's faults, too.
//!
//! A program that touches a missing page of a registered mapping, or a system call that does so for it, waits until the page is there. What it does to these mappings
//! meanwhile (unmaps, moves, empties them, forks) it does not until we have read of it: what is brought after that is brought to the right place, and what
//! was on its way fails with [`Brought::Changing`].
//!
//! When the last descriptor is closed nobody waits any more, and what is missing reads as zeros: see [`crate::kill_on_close`].

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

use linux_raw_sys::general::{
    UFFD_EVENT_FORK, UFFD_EVENT_PAGEFAULT, UFFD_EVENT_REMAP, UFFD_EVENT_REMOVE, UFFD_EVENT_UNMAP,
    UFFD_FEATURE_EVENT_FORK, UFFD_FEATURE_EVENT_REMAP, UFFD_FEATURE_EVENT_REMOVE, UFFD_FEATURE_EVENT_UNMAP,
    UFFD_FEATURE_THREAD_ID, uffdio_copy, uffdio_zeropage,
};

use super::userfaultfd::{self, Range, ioctl};
use crate::error::Context;
use crate::{Error, Host, RefusalKind, Result, error::refuse, fault, fds};

const UFFDIO_WAKE: libc::c_ulong = 0x8010_aa02;
const UFFDIO_COPY: libc::c_ulong = 0xc028_aa03;
const UFFDIO_ZEROPAGE: libc::c_ulong = 0xc020_aa04;
const UFFDIO_REGISTER_MODE_MISSING: u64 = 1 << 0;
const FLAGS: i32 = libc::O_CLOEXEC | libc::O_NONBLOCK;
const PAGE: u64 = 4096;
/// struct uffd_msg.
const MESSAGE: usize = 32;
/// Messages that are read at once.
const MESSAGES: usize = 16;

/// Registered memory of a process.
#[derive(Debug)]
pub struct PageFaults {
    uffd: File,
}

/// What a program does to it.
#[derive(Debug)]
pub enum Message {
    /// Somebody waits for the page at this address: this thread.
    Fault(u64, i32),
    /// It has forked: what is registered is so in the child, too.
    Forked(PageFaults),
    /// From here, to there, so many bytes.
    Moved(u64, u64, u64),
    /// Unmapped, or emptied.
    Gone(Range),
}

/// What came of pages that were brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Brought {
    /// So many bytes are there; who waited for them goes on.
    Bytes(u64),
    /// The first of them is there already.
    There,
    /// Nothing is registered there (any more).
    Unmapped,
    /// Messages are to be read first.
    Changing,
    /// The memory is gone, with all that was in it.
    Ended,
}

/// An address that every process could have, and none has.
const NOWHERE: u64 = 0x7fff_ffff_e000;

/// May we?
pub fn check() -> Result<()> {
    // SAFETY: takes a number; a result that is not negative is a new descriptor that nobody else owns.
    let fd = unsafe { libc::syscall(libc::SYS_userfaultfd, FLAGS) };
    if fd < 0 {
        return allowed(Err(Error::last("making a userfaultfd")));
    }
    // SAFETY: as above.
    PageFaults::new(unsafe { OwnedFd::from_raw_fd(fd as i32) }).map(drop)
}

fn allowed<T>(answer: Result<T>) -> Result<T> {
    match answer {
        Err(e) if matches!(e.errno(), Some(libc::EPERM | libc::ENOSYS | libc::EINVAL)) => refuse(
            RefusalKind::Permission,
            format!(
                "--lazy needs the rights of root (CAP_SYS_PTRACE), since system calls are to wait for pages, too ({e}): leave it out, and the memory is filled \
                 first"
            ),
        ),
        other => other,
    }
}

impl PageFaults {
    /// Of the memory of a host, which registers none yet. The descriptor is only ours.
    pub fn of(host: &mut Host) -> Result<Self> {
        let fd = allowed(host.call(libc::SYS_userfaultfd, [FLAGS as u64, 0, 0, 0, 0, 0]))?;
        let taken = fds::take(&fds::pidfd(host.pid())?, fd as i32);
        host.call(libc::SYS_close, [fd, 0, 0, 0, 0, 0])?;
        Self::new(taken?)
    }

    fn new(uffd: OwnedFd) -> Result<Self> {
        let features = UFFD_FEATURE_EVENT_FORK
            | UFFD_FEATURE_EVENT_REMAP
            | UFFD_FEATURE_EVENT_REMOVE
            | UFFD_FEATURE_EVENT_UNMAP
            | UFFD_FEATURE_THREAD_ID;
        allowed(userfaultfd::ask_for(&uffd, features, || "asking for page faults (userfaultfd)".into()))?;
        Ok(Self { uffd: uffd.into() })
    }

    /// Under a number that is at least so large.
    pub fn above(self, number: i32) -> Result<Self> {
        let uffd = rustix::io::fcntl_dupfd_cloexec(&self.uffd, number).about(|| "moving a userfaultfd".into())?;
        Ok(Self { uffd: uffd.into() })
    }

    /// From here on, who touches a missing page of this mapping waits for it.
    pub fn add(&self, range: Range) -> Result<()> {
        let what = || format!("registering memory {:#x}-{:#x}", range.0, range.1);
        userfaultfd::register(&self.uffd, range, UFFDIO_REGISTER_MODE_MISSING, what)
    }

    /// What has happened since this was asked last, as far as it is known: faults may come before what was done earlier.
    pub fn messages(&self) -> Result<Vec<Message>> {
        let mut all = Vec::new();
        let mut raw = [0; MESSAGE * MESSAGES];
        loop {
            let len = match (&self.uffd).read(&mut raw) {
                Ok(len) => len,
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => return Ok(all),
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(Error::sys("reading page faults", e)),
            };
            all.extend(raw[..len].chunks_exact(MESSAGE).filter_map(message));
            if len < raw.len() {
                return Ok(all);
            }
        }
    }

    /// Brings whole pages.
    pub fn copy(&self, at: u64, bytes: &[u8]) -> Result<Brought> {
        let mut copy = uffdio_copy { dst: at, src: bytes.as_ptr() as u64, len: bytes.len() as u64, mode: 0, copy: 0 };
        let done = self.bring(UFFDIO_COPY, &mut copy, at)?;
        self.brought(done, copy.copy, at)
    }

    /// Brings a page of zeros.
    pub fn zero(&self, at: u64) -> Result<Brought> {
        let at = at & !(PAGE - 1);
        let range = userfaultfd::range((at, at + PAGE));
        let mut zero = uffdio_zeropage { range, mode: 0, zeropage: 0 };
        let done = self.bring(UFFDIO_ZEROPAGE, &mut zero, at)?;
        self.brought(done, zero.zeropage, at)
    }

    /// Is the memory gone?
    pub fn is_over(&self) -> bool {
        matches!(self.zero(NOWHERE), Ok(Brought::Ended))
    }

    /// The errno of it, or 0.
    fn bring<T>(&self, request: libc::c_ulong, argument: &mut T, at: u64) -> Result<i32> {
        fault::point().about(|| format!("bringing pages to {at:#x}"))?;
        match ioctl(&self.uffd, request, argument) {
            Ok(()) => Ok(0),
            Err(e) => Ok(e.raw_os_error().unwrap_or(libc::EIO)),
        }
    }

    fn brought(&self, errno: i32, bytes: i64, at: u64) -> Result<Brought> {
        let done = match errno {
            _ if bytes > 0 => Brought::Bytes(bytes as u64),
            libc::EAGAIN => Brought::Changing,
            libc::EEXIST => Brought::There,
            // EINVAL: part of it is mapped otherwise.
            libc::ENOENT | libc::EINVAL | libc::EFAULT => Brought::Unmapped,
            libc::ESRCH => Brought::Ended,
            errno => {
                return Err(Error::sys(format!("bringing pages to {at:#x}"), std::io::Error::from_raw_os_error(errno)));
            }
        };
        if matches!(done, Brought::There | Brought::Unmapped) {
            // Who waits for it finds out by itself.
            let mut page = userfaultfd::range((at, at + PAGE));
            let _ = ioctl(&self.uffd, UFFDIO_WAKE, &mut page);
        }
        Ok(done)
    }
}

impl AsFd for PageFaults {
    /// Readable when there are messages.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.uffd.as_fd()
    }
}

/// The page faults that this process has in its hands, by its descriptors: who shares the table with another may not know of them.
pub fn ours() -> Result<Vec<PageFaults>> {
    let mut all = Vec::new();
    for fd in crate::proc::descriptors(std::process::id() as i32)? {
        let link = std::fs::read_link(format!("/proc/self/fd/{fd}"));
        if link.is_ok_and(|link| link.as_os_str() == "anon_inode:[userfaultfd]") {
            // SAFETY: an open descriptor, as was just seen; its owner has ended without closing it, since the table outlives it.
            all.push(PageFaults { uffd: unsafe { File::from_raw_fd(fd) } });
        }
    }
    Ok(all)
}

fn message(raw: &[u8]) -> Option<Message> {
    let word = |i: usize| Some(u64::from_ne_bytes(raw.get(i..i + 8)?.try_into().ok()?));
    let half = |i: usize| Some(i32::from_ne_bytes(raw.get(i..i + 4)?.try_into().ok()?));
    Some(match u32::from(*raw.first()?) {
        UFFD_EVENT_PAGEFAULT => Message::Fault(word(16)? & !(PAGE - 1), half(24)?),
        UFFD_EVENT_FORK => {
            // SAFETY: the kernel made this descriptor for who reads of it.
            Message::Forked(PageFaults { uffd: unsafe { File::from_raw_fd(half(8)?) } })
        }
        UFFD_EVENT_REMAP => Message::Moved(word(8)?, word(16)?, word(24)?),
        UFFD_EVENT_REMOVE | UFFD_EVENT_UNMAP => Message::Gone((word(8)?, word(16)?)),
        _ => return None,
    })
}
