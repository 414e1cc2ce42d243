//! userfaultfd(2): what both who use it have to say to the kernel ([`super::write_watch`], [`super::page_faults`]).

use std::os::fd::AsRawFd;

use linux_raw_sys::general::{UFFD_API, uffdio_api, uffdio_range, uffdio_register};

use crate::error::Context;
use crate::{Result, fault};

const UFFDIO_API: libc::c_ulong = 0xc018_aa3f;
const UFFDIO_REGISTER: libc::c_ulong = 0xc020_aa00;

/// Pages from the first address to before the second.
pub type Range = (u64, u64);

/// The same as the kernel has it.
pub fn range((start, end): Range) -> uffdio_range {
    uffdio_range { start, len: end - start }
}

/// Asks for these features (`UFFD_FEATURE_*`); a descriptor is good for nothing else before that.
pub fn ask_for(uffd: &impl AsRawFd, features: u32, what: impl Fn() -> String) -> Result<()> {
    let mut api = uffdio_api { api: UFFD_API.into(), features: features.into(), ioctls: 0 };
    command(uffd, UFFDIO_API, &mut api, what)
}

/// Registers mappings in a mode (`UFFDIO_REGISTER_MODE_*`).
pub fn register(uffd: &impl AsRawFd, pages: Range, mode: u64, what: impl Fn() -> String) -> Result<()> {
    let mut register = uffdio_register { range: range(pages), mode, ioctls: 0 };
    command(uffd, UFFDIO_REGISTER, &mut register, what)
}

/// [`ioctl`], which passes the fault point.
fn command<T>(uffd: &impl AsRawFd, request: libc::c_ulong, argument: &mut T, what: impl Fn() -> String) -> Result<()> {
    fault::point().about(&what)?;
    ioctl(uffd, request, argument).about(what)
}

/// `argument` is the structure of linux/userfaultfd.h that belongs to `request`.
pub fn ioctl<T>(uffd: &impl AsRawFd, request: libc::c_ulong, argument: &mut T) -> std::io::Result<()> {
    // SAFETY: the kernel reads and writes one structure of the type that the request names, and `argument` is of it.
    let done = unsafe { libc::ioctl(uffd.as_raw_fd(), request, std::ptr::from_mut(argument)) };
    if done < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}
