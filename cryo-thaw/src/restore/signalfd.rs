//! `SGFD`: signals as a file.

use cryo_format::section::signalfd::Signalfd;
use cryo_tracee::Host;

use super::open::set_flags;
use super::table::Table;
use crate::Result;

/// Makes it.
pub fn restore(host: &mut Host, table: &mut Table<'_>, _: u32, id: u64) -> Result<Option<u64>> {
    let Some(signalfd) = table.section::<Signalfd>(id) else { return Ok(None) };
    let mut batch = host.batch()?;
    let mask = batch.put(&signalfd.mask.0.to_le_bytes());
    let call = batch.call(libc::SYS_signalfd4, &[u64::MAX, mask.addr, 8, libc::SFD_CLOEXEC as u64]);
    let made = host.run(batch)?.result(call)?;
    set_flags(host, made, signalfd.open_flags.0)?;
    Ok(Some(made))
}
