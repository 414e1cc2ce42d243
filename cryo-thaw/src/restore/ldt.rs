//! `LDT `: the local descriptor table.

use cryo_format::section::ldt::{Ldt, LdtEntry};
use cryo_tracee::Host;

use crate::Result;
use crate::error::{RefusalKind, reason, refuse};

/// modify_ldt(2): write as the caller says it, without the mercies of old.
const WRITE: u64 = 0x11;
/// Bytes of `struct user_desc`.
const USER_DESC: u64 = 16;
/// Entries that one batch writes.
const AT_ONCE: usize = 1024;

/// Writes it, before registers hold selectors of it.
pub fn restore(host: &mut Host, ldt: &Ldt) -> Result<()> {
    for entries in ldt.entries.chunks(AT_ONCE) {
        let mut batch = host.batch()?;
        let calls: Vec<(&LdtEntry, usize)> = entries
            .iter()
            .map(|e| {
                let at = batch.put(&[e.entry, e.base, e.limit, e.flags].map(u32::to_le_bytes).concat());
                (e, batch.call(libc::SYS_modify_ldt, &[WRITE, at.addr, USER_DESC]))
            })
            .collect();
        let done = host.run(batch)?;
        for (e, call) in calls {
            if let Err(error) = done.result(call) {
                return refuse(
                    RefusalKind::Machine,
                    format!(
                        "entry {} of its local descriptor table (modify_ldt(2)): {}: this kernel has no such segments (CONFIG_MODIFY_LDT_SYSCALL, \
                     CONFIG_X86_16BIT)",
                        e.entry,
                        reason(&error)
                    ),
                );
            }
        }
    }
    Ok(())
}
