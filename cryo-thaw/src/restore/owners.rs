//! `OWNR`: who is told when a file can be read or written.

use cryo_format::section::family::Family;
use cryo_format::section::owners::{NOBODY, OUTSIDE, OWN_GROUP, Owner, PROCESS, THREAD};
use cryo_format::section::process::Process;
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
            PROCESS => Some((PID, process(table, fd, owner.owner)?)),
            THREAD => Some((TID, thread(host, table, fd, owner.owner)?)),
            OWN_GROUP => {
                let member = in_group(table, owner.owner).unwrap_or(0);
                Some((PGRP, host.call(libc::SYS_getpgid, [member, 0, 0, 0, 0, 0])?))
            }
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

fn process(table: &Table<'_>, fd: u64, id: u64) -> Result<u64> {
    match table.frost.get::<Process>(id).and_then(|p| table.pid(p.pid)) {
        Some(pid) => Ok(pid),
        None => refuse(RefusalKind::Image, format!("fd {fd}: its owner, process {id}, is not in the image")),
    }
}

/// The pid of today of somebody who was in a process group. That may have another number now: the root of a family is in its thawer's.
fn in_group(table: &Table<'_>, group: u64) -> Option<u64> {
    let living = table.frost.all::<Process>().map(|(_, p)| (p.pid, p.pgid));
    let dead = table.frost.all::<Family>().flat_map(|(_, f)| &f.zombies).map(|z| (z.pid, z.pgid));
    let of = living.chain(dead).find(|(_, of)| group != 0 && *of == group);
    of.and_then(|(pid, _)| table.pid(pid))
}

/// Threads have the ids that they had, but for one that is alone.
fn thread(host: &mut Host, table: &Table<'_>, fd: u64, id: u64) -> Result<u64> {
    match table.frost.get::<Thread>(id) {
        Some(_) if table.frost.all::<Thread>().count() == 1 => Ok(host.call(libc::SYS_gettid, [0; 6])?),
        Some(t) => Ok(t.tid),
        None => refuse(RefusalKind::Image, format!("fd {fd}: its owner, thread {id}, is not in the image")),
    }
}
