//! Descriptions that are made when all processes are born: a process must be there to be made a file (`PIDF`), and for a file in its /proc (`FILE`).
//!
//! The first who has it makes it; others who have the same description get it from us by a message, through a socket that all were born with.

use cryo_format::section::descriptors::Descriptor;
use cryo_format::section::family::Family;
use cryo_tracee::Host;

use super::courier::Courier;
use super::table::{Table, wanted};
use super::{files, pidfd, sockets};
use crate::Result;
use crate::error::{RefusalKind, refuse};

/// Is it made when all are born?
pub fn is(table: &Table<'_>, id: u64) -> bool {
    pidfd::is_late(table, id) || files::is_late(table, id)
}

/// Makes the way for those that are made late, if there are any.
pub fn prepare(host: &mut Host, table: &mut Table<'_>) -> Result<()> {
    if !table.holders().flat_map(|id| wanted(table.frost, id)).any(|d| is(table, d.description)) {
        return Ok(());
    }
    table.courier = Some(Courier::between(host, table.base)?);
    Ok(())
}

/// Puts those that are made late at their numbers in the process whose turn it is. All are born, and nothing parked is closed yet.
pub fn place(host: &mut Host, table: &mut Table<'_>) -> Result<()> {
    // Who has its descriptors in common with one that comes before it finds them there.
    let common = table.frost.get::<Family>(0).map_or(&[][..], |f| &f.common);
    if common.iter().any(|c| c.process == table.process && c.flags & libc::CLONE_FILES as u32 != 0) {
        return Ok(());
    }
    let late = |table: &Table<'_>, d: &Descriptor| table.at(d.description).is_none() && is(table, d.description);
    for d in table.wanted {
        if table.ruled(d.fd) || !late(table, d) {
            continue;
        }
        let opened = match table.late.get(&d.description) {
            Some(made) => match &table.courier {
                Some(courier) => courier.give(host, made)?,
                None => return refuse(RefusalKind::Internal, "there is no way to a host for a descriptor"),
            },
            None => {
                let opened = match files::now(host, table, d.fd, d.description)? {
                    Some(opened) => opened,
                    None => pidfd::now(host, table, d)?,
                };
                let taken = table.take(opened)?;
                table.late.insert(d.description, taken);
                opened
            }
        };
        let flags = if d.flags & 1 != 0 { libc::O_CLOEXEC as u64 } else { 0 };
        if opened != u64::from(d.fd) {
            host.call(libc::SYS_dup3, [opened, d.fd.into(), flags, 0, 0, 0])?;
            sockets::close(host, opened)?;
        } else if flags == 0 {
            host.call(libc::SYS_fcntl, [opened, libc::F_SETFD as u64, 0, 0, 0, 0])?;
        }
    }
    Ok(())
}
