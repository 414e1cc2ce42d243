//! Files of huge TLB pages (hugetlbfs(5); memfd_create(2) with MFD_HUGETLB): they can be read and mapped, but not written.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

use crate::error::Context;
use crate::{Result, fault};

/// linux/magic.h.
const HUGETLBFS_MAGIC: u64 = 0x9584_58f6;

/// Bytes of its pages, if it is one.
pub fn page_size(file: impl AsFd) -> Option<u64> {
    let system = rustix::fs::fstatfs(file).ok()?;
    (system.f_type as u64 == HUGETLBFS_MAGIC).then_some(system.f_bsize as u64)
}

/// Writes `bytes` at `offset` of such a file, whose pages have `page` bytes, through a mapping of ours. Fails with ENOMEM where fewer pages are free.
pub fn write_at(file: &File, page: u64, bytes: &[u8], offset: u64) -> Result<()> {
    let what = || "writing into a file of huge pages".to_owned();
    fault::point().about(what)?;
    let start = offset / page * page;
    let before = (offset - start) as usize;
    let len = (before + bytes.len()).next_multiple_of(page as usize);
    if start + len as u64 > file.metadata().about(what)?.len() {
        return Err(io::Error::from(io::ErrorKind::FileTooLarge)).about(what);
    }
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping, wherever the kernel likes, of a file that is as long: see above. Its pages are reserved, so that no touch of them fails.
    let map = unsafe { libc::mmap(ptr::null_mut(), len, prot, libc::MAP_SHARED, file.as_raw_fd(), start as i64) };
    if map == libc::MAP_FAILED {
        return Err(io::Error::last_os_error()).about(what);
    }
    // SAFETY: `before` and the bytes lie within `len` bytes from `map`, which are writable and nobody else's in this process.
    unsafe {
        ptr::copy_nonoverlapping(bytes.as_ptr(), map.cast::<u8>().add(before), bytes.len());
        libc::munmap(map, len);
    }
    Ok(())
}
