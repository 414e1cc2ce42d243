//! Files without a name: memfds, and files that were deleted. Each is one file in the host, for its mappings and its descriptors; the content
//! arrives with the pages.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use cryo_format::section::objects::{Object, ObjectKind};
use cryo_tracee::{Host, fds, hugetlb};

use crate::Result;
use crate::error::{About, RefusalKind, reason, refuse};
use crate::restore::open;

/// Is it one?
pub fn is(object: &Object) -> bool {
    object.embedded != 0 && matches!(object.kind, ObjectKind::MEMFD | ObjectKind::DELETED)
}

/// Makes it, of its size and empty, and returns the host's descriptor for it. A deleted file comes to where it was, if that can be.
pub fn make(host: &mut Host, object: &Object) -> Result<u64> {
    let made = match object.kind {
        ObjectKind::MEMFD => memfd(host, object)?,
        _ if object.huge_page != 0 => huge_file(host, object)?,
        _ => temporary(host, object)?,
    };
    if let Err(e) = host.call(libc::SYS_ftruncate, [made, object.size, 0, 0, 0, 0]) {
        return refuse(RefusalKind::File, format!("{} (without a name, {} bytes): {e}", object.path, object.size));
    }
    Ok(made)
}

/// Our own opening of it, for its content: another description than the program's, which may append or not write at all.
pub fn open(host: &Host, fd: u64) -> Result<File> {
    let path = format!("/proc/{}/fd/{fd}", host.pid());
    File::options().read(true).write(true).open(&path).about(|| format!("opening {path}"))
}

fn memfd(host: &mut Host, object: &Object) -> Result<u64> {
    let mut batch = host.batch()?;
    let name = batch.put(&[&object.path[..], b"\0"].concat());
    // What must not be sealed is sealed against that, later.
    let huge = if object.huge_page == 0 {
        0
    } else {
        libc::MFD_HUGETLB | object.huge_page.trailing_zeros() << libc::MFD_HUGE_SHIFT
    };
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING | huge;
    let call = batch.call(libc::SYS_memfd_create, &[name.addr, flags.into()]);
    match host.run(batch)?.result(call) {
        // Such pages this machine does not have.
        Err(e) if huge != 0 => refuse(
            RefusalKind::Memory,
            format!(
                "{} (without a name) is made of huge TLB pages of {} KiB: {}",
                object.path,
                object.huge_page >> 10,
                reason(&e)
            ),
        ),
        made => Ok(made?),
    }
}

/// A deleted file of huge TLB pages: in the directory where it was, if that still has such pages; otherwise a memfd of them.
fn huge_file(host: &mut Host, object: &Object) -> Result<u64> {
    let dir = Path::new(OsStr::from_bytes(&object.path)).parent().filter(|d| d.is_absolute());
    if let Some(dir) = dir
        && let Ok(made) = open::open(host, dir.as_os_str().as_bytes(), TEMPORARY)?
    {
        if hugetlb::page_size(fds::take(&fds::pidfd(host.pid())?, made as i32)?) == Some(object.huge_page) {
            return Ok(made);
        }
        host.call(libc::SYS_close, [made, 0, 0, 0, 0, 0])?;
    }
    memfd(host, object)
}

const TEMPORARY: i32 = libc::O_TMPFILE | libc::O_RDWR | libc::O_CLOEXEC;

fn temporary(host: &mut Host, object: &Object) -> Result<u64> {
    let dir =
        Path::new(OsStr::from_bytes(&object.path)).parent().filter(|d| d.is_absolute()).unwrap_or(Path::new("/tmp"));
    let mut made = open::open(host, dir.as_os_str().as_bytes(), TEMPORARY)?;
    if made.is_err() {
        made = open::open(host, b"/tmp", TEMPORARY)?;
    }
    match made {
        Ok(made) => Ok(made),
        Err(e) => refuse(RefusalKind::File, format!("{} (deleted): {e}", object.path)),
    }
}
