//! How a program is told that it was thawed: a page of a memfd by whose name (`/memfd:cryo_generation` in /proc/PID/maps) the thawer knows it, and in which
//! it counts. (Anonymous memory cannot have a name on every kernel.)

use std::sync::OnceLock;

use crate::error::{CryoError, Error};

/// What the page says. It changes only while the program is frozen.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct CryoGeneration {
    /// `CRYO_GENERATION_MAGIC`.
    pub magic: u64,
    /// How often the program was thawed: 0 in one that never was.
    pub count: u64,
    /// When the last time: nanoseconds since 1970, as of `CLOCK_REALTIME`.
    pub thawed_at: u64,
    /// Where: the host name, with a NUL behind it.
    pub host: [u8; 72],
}

/// What the page begins with: "CRYOGEN1".
pub const CRYO_GENERATION_MAGIC: u64 = u64::from_le_bytes(*b"CRYOGEN1");

/// The page of this process, which is made when it is first asked for. A child of fork(2) has one of its own.
pub fn page() -> Result<*const CryoGeneration, Error> {
    static PAGE: OnceLock<usize> = OnceLock::new();
    if let Some(page) = PAGE.get() {
        return Ok(*page as *const CryoGeneration);
    }
    let made = make()?;
    Ok(*PAGE.get_or_init(|| made as usize) as *const CryoGeneration)
}

fn make() -> Result<*const CryoGeneration, Error> {
    const LEN: usize = 4096;
    let failed = |what: &str| {
        let e = std::io::Error::last_os_error();
        Error::new(CryoError::Machine, format!("{what}: {e}"))
    };
    // SAFETY: a new mapping of a new file, which nobody else has yet; the name is a C string.
    unsafe {
        let file = libc::memfd_create(c"cryo_generation".as_ptr(), libc::MFD_CLOEXEC);
        if file < 0 {
            return Err(failed("a memfd for cryo_generation()"));
        }
        let (prot, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE);
        let page = if libc::ftruncate(file, LEN as i64) == 0 {
            libc::mmap(std::ptr::null_mut(), LEN, prot, flags, file, 0)
        } else {
            libc::MAP_FAILED
        };
        let mapped = if page == libc::MAP_FAILED { Err(failed("a page for cryo_generation()")) } else { Ok(()) };
        libc::close(file);
        mapped?;
        let start = CryoGeneration { magic: CRYO_GENERATION_MAGIC, count: 0, thawed_at: 0, host: [0; 72] };
        page.cast::<CryoGeneration>().write(start);
        libc::mprotect(page, LEN, libc::PROT_READ);
        Ok(page.cast())
    }
}
