//! `PIDF` and `PIDD`: processes as files.

use cryo_format::section::descriptors::Descriptor;
use cryo_format::section::pidfd::{DeadPidfd, Pidfd};
use cryo_format::section::process::Process;
use cryo_tracee::Host;

use super::table::Table;
use crate::Result;
use crate::error::{Doing, RefusalKind, refuse};

/// Makes it, if it can be made now.
pub fn restore(host: &mut Host, table: &mut Table<'_>, _fd: u32, id: u64) -> Result<Option<u64>> {
    if let Some(dead) = table.section::<DeadPidfd>(id) {
        return gone(host, dead.open_flags.0).map(Some);
    }
    let Some(pidfd) = table.section::<Pidfd>(id) else { return Ok(None) };
    let itself = host.call(libc::SYS_getpid, [0; 6])?;
    Ok(Some(open(host, itself, pidfd.open_flags.0)?))
}

/// Is it made when all are born?
pub fn is_late(table: &Table<'_>, id: u64) -> bool {
    table.section::<Pidfd>(id).is_some_and(|p| p.process != table.root())
        || table.section::<DeadPidfd>(id).is_some_and(|d| d.pid != 0)
}

/// Makes one that is late.
pub fn now(host: &mut Host, table: &Table<'_>, d: &Descriptor) -> Result<u64> {
    let living = table.section::<Pidfd>(d.description);
    let dead = table.section::<DeadPidfd>(d.description);
    let old = living.and_then(|p| table.frost.get::<Process>(p.process)).map(|p| p.pid).or(dead.map(|d| d.pid));
    let flags = living.map(|p| p.open_flags).or(dead.map(|d| d.open_flags)).unwrap_or_default();
    let Some(pid) = old.and_then(|old| table.pids.get(&old)) else {
        let fd = d.fd;
        return refuse(
            RefusalKind::Descriptor,
            format!("fd {fd}: the process that it refers to is not in the image: use --fd {fd}=null"),
        );
    };
    open(host, *pid, flags.0)
}

fn open(host: &mut Host, pid: u64, flags: u64) -> Result<u64> {
    let flags = flags & (libc::O_NONBLOCK | libc::O_EXCL) as u64;
    host.call(libc::SYS_pidfd_open, [pid, flags, 0, 0, 0, 0]).doing(|| format!("opening process {pid} as a file"))
}

/// One of a process that nobody waits for any more.
fn gone(host: &mut Host, flags: u64) -> Result<u64> {
    host.aside(None, |child| {
        let itself = child.call(libc::SYS_getpid, [0; 6])?;
        open(child, itself, flags & !(libc::O_EXCL as u64))
    })
}
