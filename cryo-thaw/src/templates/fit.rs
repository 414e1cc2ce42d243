//! What fork(2) would not copy as a thaw brings it back. It is refused before there is a template.

use cryo_format::section::family::Family;
use cryo_format::section::files::OpenFile;
use cryo_format::section::mm::Mm;
use cryo_format::section::objects::{Object, ObjectKind, Objects};
use cryo_format::section::vmas::{Backing, VmFlags, Vma, Vmas};

use crate::error::{RefusalKind, refuse};
use crate::ice::Ice;
use crate::restore::clocks;
use crate::{Result, posix_shm, unlinked};

/// What is to be done instead.
const INSTEAD: &str = "thaw the set itself, once for each copy (cryo-thaw NAME)";

/// Refuses a set of which no template can be made.
pub fn check(ice: &Ice) -> Result<()> {
    let count = ice.processes().len() + ice.get::<Family>(0).map_or(0, |f| f.zombies.len());
    if count > 1 {
        return no(RefusalKind::Children, &format!("the set is of {count} processes, and a template is of one"));
    }
    if let Some(behind) = clocks::behind(ice) {
        let behind = clocks::words(behind);
        return no(
            RefusalKind::Machine,
            &format!(
                "this machine's CLOCK_MONOTONIC is {behind} behind the program's, and a template has no clocks of its own"
            ),
        );
    }
    let (id, _) = ice.root()?;
    let objects = &ice.need::<Objects>(0)?.objects;
    let vmas = &ice.need::<Vmas>(id)?.vmas;
    let of = |vma: &Vma| objects.iter().find(|o| o.id == vma.object);
    for vma in vmas {
        memory(vma, of(vma))?;
    }
    for object in objects {
        file(ice, id, object)?;
    }
    Ok(())
}

fn no<T>(kind: RefusalKind, what: &str) -> Result<T> {
    refuse(kind, format!("--hold: {what}: {INSTEAD}"))
}

/// A range of memory: each copy is to have its own, and all that the program had.
fn memory(vma: &Vma, object: Option<&Object>) -> Result<()> {
    let range = format!("memory {}-{}", vma.start, vma.end);
    // A file that is mapped by several is one file for all copies, as it is for all thaws.
    let own = vma.backing == Backing::SHARED && object.is_none_or(|o| o.kind != ObjectKind::FILE);
    if own {
        return no(RefusalKind::Shared, &format!("{range} is shared (MAP_SHARED), and all copies would share one"));
    }
    if vma.flags.has(VmFlags::HUGETLB) {
        return no(RefusalKind::Memory, &format!("{range} is of huge TLB pages, and too few may be free for a copy"));
    }
    if vma.flags.has(VmFlags::DONTFORK) {
        return no(RefusalKind::Memory, &format!("{range} has MADV_DONTFORK, and no fork has it"));
    }
    Ok(())
}

/// A file whose content is in the image: each thaw makes one.
fn file(ice: &Ice, id: u64, object: &Object) -> Result<()> {
    let (shm, nameless) = (posix_shm::is(object), unlinked::is(object));
    // POSIX shared memory that is here is one for all.
    if shm && posix_shm::is_gone(object) {
        let path = &object.path;
        return no(RefusalKind::Ipc, &format!("{path} (POSIX shared memory) is not here, and each thaw would make it"));
    }
    if nameless && ice.need::<Mm>(id)?.exe == object.id {
        let path = &object.path;
        return no(RefusalKind::File, &format!("its executable {path} has no name, and all copies would share one"));
    }
    if nameless && ice.all::<OpenFile>().any(|(_, file)| file.object == object.id) {
        let path = &object.path;
        return no(RefusalKind::File, &format!("{path} is open and has no name, and all copies would share one file"));
    }
    Ok(())
}
