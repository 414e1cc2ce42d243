//! What processes have in common that fork(2) gives a copy of (clone(2): CLONE_VM, CLONE_FS, CLONE_FILES, CLONE_SIGHAND, CLONE_SYSVSEM). It comes about where it did: at the
//! birth of a child of one of them, or of a sibling.

use cryo_format::section::family::Family;
use cryo_format::section::process::Process;

use crate::Result;
use crate::error::{RefusalKind, refuse};
use crate::ice::Ice;
use crate::plan::Birth;

const KNOWN: [(i32, &str); 5] = [
    (libc::CLONE_VM, "memory"),
    (libc::CLONE_SIGHAND, "signal handlers"),
    (libc::CLONE_FILES, "descriptors"),
    (libc::CLONE_FS, "working directory and umask"),
    (libc::CLONE_SYSVSEM, "list of what its end undoes to semaphores"),
];

/// Flags of clone(2) for the birth of process `id`, which `parent` makes.
pub fn flags(ice: &Ice, id: u64, parent: u64) -> Result<u64> {
    let Some(family) = ice.get::<Family>(0) else { return Ok(0) };
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
    if flags & (libc::CLONE_VM | libc::CLONE_SIGHAND) as u64 == libc::CLONE_SIGHAND as u64 {
        return refuse(
            RefusalKind::Image,
            format!(
                "process {} has signal handlers, but no memory, in common with its parent",
                ice.need::<Process>(id)?.pid
            ),
        );
    }
    Ok(flags)
}

/// The same for how it is born: an execve(2) ends most of that.
pub fn of_birth(ice: &Ice, id: u64, parent: u64, how: Birth) -> Result<u64> {
    let flags = flags(ice, id, parent)?;
    let stays = |flag: i32| flag == libc::CLONE_FS || flag == libc::CLONE_SYSVSEM;
    let ended = KNOWN.iter().find(|(flag, _)| !stays(*flag) && flags & *flag as u64 != 0);
    match ended {
        Some((_, what)) if !matches!(how, Birth::Fork | Birth::Sibling) => {
            let words = words(ice, id, parent, what)?;
            let why = if how == Birth::Orphan { "is not its parent" } else { "executes another program" };
            refuse(RefusalKind::Children, format!("{words}, which {why}: this release cannot bring that back"))
        }
        _ => Ok(flags),
    }
}

fn words(ice: &Ice, id: u64, other: u64, what: &str) -> Result<String> {
    let (process, other) = (ice.need::<Process>(id)?.pid, ice.need::<Process>(other)?.pid);
    Ok(format!("process {process} has its {what} in common with process {other}"))
}

/// Has one that comes after process `id` its memory in common with it?
pub fn memory_goes_on(ice: &Ice, id: u64) -> bool {
    let all = ice.get::<Family>(0).map_or(&[][..], |f| &f.common);
    let mut with = all.iter().filter(|c| c.flags & libc::CLONE_VM as u32 != 0);
    let first = with.clone().find(|c| c.process == id).map_or(id, |c| c.other);
    with.any(|c| c.other == first && c.process > id)
}

/// Has process `id` this in common with one that comes before it?
pub fn has(ice: &Ice, id: u64, flag: i32) -> bool {
    ice.get::<Family>(0).is_some_and(|f| f.common.iter().any(|c| c.process == id && c.flags & flag as u32 != 0))
}
