//! `EVFD`: event counters.

use cryo_format::section::eventfd::Eventfd;
use cryo_tracee::Host;

use super::open::set_flags;
use super::table::Table;
use crate::Result;
use crate::error::{RefusalKind, refuse};

/// Makes it, with what it had counted.
pub fn restore(host: &mut Host, table: &mut Table<'_>, fd: u32, id: u64) -> Result<Option<u64>> {
    let Some(eventfd) = table.section::<Eventfd>(id) else { return Ok(None) };
    if eventfd.count == u64::MAX {
        return refuse(RefusalKind::Image, format!("fd {fd}: an eventfd cannot count to {}", u64::MAX));
    }
    let semaphore = if eventfd.semaphore != 0 { libc::EFD_SEMAPHORE } else { 0 };
    let flags = semaphore | libc::EFD_CLOEXEC | libc::EFD_NONBLOCK;
    let made = host.call(libc::SYS_eventfd2, [0, flags as u64, 0, 0, 0, 0])?;
    if eventfd.count != 0 {
        // What the call takes is 32 bits wide; the counter is not.
        let mut batch = host.batch()?;
        let count = batch.put(&eventfd.count.to_le_bytes());
        batch.call(libc::SYS_write, &[made, count.addr, 8]);
        host.run(batch)?.all()?;
    }
    set_flags(host, made, eventfd.open_flags.0)?;
    Ok(Some(made))
}
