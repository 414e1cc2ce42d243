//! What a copy has by fork(2), and what it makes for itself as a thaw does; and of which set no template can be made.

use std::collections::HashSet;

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
    if let Some(behind) = clocks::behind(ice) {
        let behind = clocks::words(behind);
        return no(
            RefusalKind::Machine,
            &format!(
                "this machine's CLOCK_MONOTONIC is {behind} behind the program's, and a template has no clocks of its own"
            ),
        );
    }
    for object in &ice.need::<Objects>(0)?.objects {
        let path = &object.path;
        if unlinked::is(object) && ice.all::<Mm>().any(|(_, mm)| mm.exe == object.id) {
            return no(
                RefusalKind::File,
                &format!("the executable {path} has no name, and all copies would share one"),
            );
        }
    }
    Ok(())
}

fn no<T>(kind: RefusalKind, what: &str) -> Result<T> {
    refuse(kind, format!("--hold: {what}: {INSTEAD}"))
}

/// The root's mappings that a copy has by fork(2) as a thaw brings them back. Not so: what is shared, which would be one for all copies (but for files with a
/// name, which are one for all thaws, too); POSIX shared memory, which may be gone by then; files without a name that somebody may write to; huge TLB pages,
/// of which nothing is reserved for a fork; and what no fork has.
pub fn forkable(ice: &Ice) -> Result<Vec<Vma>> {
    let objects = &ice.need::<Objects>(0)?.objects;
    let object = |vma: &Vma| objects.iter().find(|o| o.id == vma.object);
    let all = ice.all::<Vmas>().flat_map(|(_, v)| &v.vmas);
    let shared = all.filter(|vma| vma.backing == Backing::SHARED).map(|vma| vma.object);
    let written: HashSet<u64> = shared.chain(ice.all::<OpenFile>().map(|(_, file)| file.object)).collect();
    let own = |vma: &Vma, object: Option<&Object>| {
        vma.flags.has(VmFlags::HUGETLB)
            || vma.flags.has(VmFlags::DONTFORK)
            || vma.backing == Backing::SHARED && object.is_none_or(|o| o.kind != ObjectKind::FILE)
            || object.is_some_and(posix_shm::is)
            || object.is_some_and(|o| unlinked::is(o) && written.contains(&o.id))
    };
    let (root, _) = ice.root()?;
    Ok(ice.need::<Vmas>(root)?.vmas.iter().filter(|vma| !own(vma, object(vma))).cloned().collect())
}
