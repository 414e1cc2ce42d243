//! `PIDF`: processes as files.

use cryo_format::section::pidfd::Pidfd;
use cryo_tracee::Host;

use super::table::Table;
use crate::Result;
use crate::error::{RefusalKind, refuse};

/// Makes it.
pub fn restore(host: &mut Host, table: &mut Table<'_>, fd: u32, id: u64) -> Result<Option<u64>> {
    let Some(pidfd) = table.section::<Pidfd>(id) else { return Ok(None) };
    if pidfd.process != table.process {
        return refuse(
            RefusalKind::Descriptor,
            format!("fd {fd}: it refers to process {}, which is not in the image: use --fd {fd}=null", pidfd.process),
        );
    }
    let itself = host.call(libc::SYS_getpid, [0; 6])?;
    let flags = pidfd.open_flags.0 & (libc::O_NONBLOCK | libc::O_EXCL) as u64;
    Ok(Some(host.call(libc::SYS_pidfd_open, [itself, flags, 0, 0, 0, 0])?))
}
