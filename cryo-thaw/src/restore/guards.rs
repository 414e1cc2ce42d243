//! `GARD`: guards inside mappings.

use cryo_format::section::guards::{Guard, Guards};
use cryo_tracee::Host;

use crate::Result;
use crate::error::Doing;
use crate::notes::Notes;

/// Linux 6.13.
const MADV_GUARD_INSTALL: u64 = 102;

/// Installs them, over mappings that are not locked yet: the kernel wants it so.
///
/// A kernel without them is told to forbid the pages, as programs did before: that splits the mapping, and MADV_GUARD_REMOVE fails there anyway.
pub fn restore(host: &mut Host, guards: &Guards, notes: &Notes) -> Result<()> {
    let mut told = false;
    for guard in &guards.guards {
        let (start, len) = (guard.start.0, guard.end.0 - guard.start.0);
        match host.call(libc::SYS_madvise, [start, len, MADV_GUARD_INSTALL, 0, 0, 0]) {
            Err(e) if e.errno() == Some(libc::EINVAL) => {
                host.call(libc::SYS_mprotect, [start, len, libc::PROT_NONE as u64, 0, 0, 0])
                    .doing(|| guarding(guard))?;
                if !std::mem::replace(&mut told, true) {
                    notes
                        .add("this kernel has no MADV_GUARD_INSTALL: guards are mapped without any permission instead");
                }
            }
            other => drop(other.doing(|| guarding(guard))?),
        }
    }
    Ok(())
}

fn guarding(guard: &Guard) -> String {
    format!("memory {}-{}: making it a guard", guard.start, guard.end)
}
