//! What processes have in common that fork(2) gives a copy of (clone(2): CLONE_FILES, CLONE_FS). It comes about where it did: at the birth of a child
//! of one of them.

use cryo_format::section::family::Family;
use cryo_format::section::process::Process;

use crate::Result;
use crate::error::{RefusalKind, refuse};
use crate::ice::Ice;

/// What this release brings back.
const KNOWN: [(i32, &str); 2] = [(libc::CLONE_FILES, "descriptors"), (libc::CLONE_FS, "working directory and umask")];

/// Flags of clone(2) for the birth of process `id`, the child of `parent`.
pub fn flags(ice: &Ice, id: u64, parent: u64) -> Result<u64> {
    let Some(family) = ice.get::<Family>(0) else { return Ok(0) };
    let known = KNOWN.iter().fold(0, |all, (flag, _)| all | *flag as u32);
    if let Some(one) = family.common.iter().find(|c| c.process == id && c.flags & !known != 0) {
        return refuse(
            RefusalKind::Children,
            format!(
                "{}: this release cannot bring that back",
                words(ice, id, one.other, "memory or signal handlers (CLONE_VM, CLONE_SIGHAND)")?
            ),
        );
    }
    let mut flags = 0;
    for (flag, what) in KNOWN {
        // All that have it in common name the first of them.
        let first = |of: u64| {
            let with = family.common.iter().find(|c| c.process == of && c.flags & flag as u32 != 0);
            with.map_or(of, |c| c.other)
        };
        if first(id) == first(parent) {
            flags |= flag as u64;
        } else if first(id) != id {
            return refuse(
                RefusalKind::Children,
                format!(
                    "{}, which is not in common with its parent: this release cannot bring that back",
                    words(ice, id, first(id), what)?
                ),
            );
        }
    }
    Ok(flags)
}

fn words(ice: &Ice, id: u64, other: u64, what: &str) -> Result<String> {
    let (process, other) = (ice.need::<Process>(id)?.pid, ice.need::<Process>(other)?.pid);
    Ok(format!("process {process} has its {what} in common with process {other}"))
}

/// Has process `id` this in common with one that comes before it?
pub fn has(ice: &Ice, id: u64, flag: i32) -> bool {
    ice.get::<Family>(0).is_some_and(|f| f.common.iter().any(|c| c.process == id && c.flags & flag as u32 != 0))
}
