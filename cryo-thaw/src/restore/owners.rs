//! `OWNR`: who is told when a file can be read or written.

use cryo_format::section::owners::{NOBODY, OUTSIDE, OWN_GROUP, Owner, PROCESS, THREAD};
use cryo_format::section::thread::Thread;
use cryo_tracee::Host;

use super::table::Table;
use crate::Result;
use crate::error::{RefusalKind, refuse};

const F_SETSIG: u64 = 10;
const F_SETOWN_EX: u64 = 15;
/// F_OWNER_TID, F_OWNER_PID, F_OWNER_PGRP.
const TID: u32 = 0;
const PID: u32 = 1;
const PGRP: u32 = 2;

/// Sets the owners, when all threads are there.
pub fn late(host: &mut Host, table: &Table<'_>) -> Result<()> {
    for (id, owner) in table.all::<Owner>() {
        let Some(fd) = table.number(id).map(u64::from) else { continue };
        let who = match owner.kind {
            NOBODY => None,
            PROCESS if owner.owner == table.process => Some((PID, host.call(libc::SYS_getpid, [0; 6])?)),
            THREAD => Some((TID, thread(host, table, fd, owner.owner)?)),
            OWN_GROUP => Some((PGRP, host.call(libc::SYS_getpgid, [0; 6])?)),
            OUTSIDE => {
                table
                    .options
                    .notes
                    .add(format!("fd {fd}: {}, whom it sent signals to, is not in the image", owner.owner));
                None
            }
            other => {
                return refuse(
                    RefusalKind::Image,
                    format!("fd {fd}: an owner of kind {other} is unknown to this release"),
                );
            }
        };
        let flags = host.call(libc::SYS_fcntl, [fd, libc::F_GETFL as u64, 0, 0, 0, 0])?;
        let mut batch = host.batch()?;
        if let Some((kind, number)) = who {
            let at = batch.put(&(u64::from(kind) | number << 32).to_le_bytes());
            batch.call(libc::SYS_fcntl, &[fd, F_SETOWN_EX, at.addr]);
        }
        batch.call(libc::SYS_fcntl, &[fd, F_SETSIG, owner.signal.into()]);
        if owner.asynchronous != 0 {
            batch.call(libc::SYS_fcntl, &[fd, libc::F_SETFL as u64, flags | libc::O_ASYNC as u64]);
        }
        host.run(batch)?.all()?;
    }
    Ok(())
}

/// Threads have the ids that they had, but for one that is alone.
fn thread(host: &mut Host, table: &Table<'_>, fd: u64, id: u64) -> Result<u64> {
    match table.frost.get::<Thread>(id) {
        Some(_) if table.frost.all::<Thread>().count() == 1 => Ok(host.call(libc::SYS_gettid, [0; 6])?),
        Some(t) => Ok(t.tid),
        None => refuse(RefusalKind::Image, format!("fd {fd}: its owner, thread {id}, is not in the image")),
    }
}
