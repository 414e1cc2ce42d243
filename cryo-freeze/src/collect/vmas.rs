//! `VMAS`: what is mapped where.

use cryo_format::prim::Addr;
use cryo_format::section::vmas::{Backing, VmFlags, Vma, Vmas};
use cryo_tracee::proc::Mapping;

use super::objects::{Objects, Place};
use super::residence::Residence;
use super::{Collected, Ids, Scene, aio};
use crate::Result;

/// The VmFlags of proc(5) that are carried.
const FLAGS: [(&str, u64); 17] = [
    ("gd", VmFlags::GROWSDOWN),
    ("lo", VmFlags::LOCKED),
    ("dc", VmFlags::DONTFORK),
    ("wf", VmFlags::WIPEONFORK),
    ("dd", VmFlags::DONTDUMP),
    ("hg", VmFlags::HUGEPAGE),
    ("nh", VmFlags::NOHUGEPAGE),
    ("mg", VmFlags::MERGEABLE),
    ("nr", VmFlags::NORESERVE),
    ("ht", VmFlags::HUGETLB),
    ("sr", VmFlags::SEQUENTIAL),
    ("rr", VmFlags::RANDOM),
    ("lf", VmFlags::LOCKONFAULT),
    ("dp", VmFlags::DROPPABLE),
    ("sl", VmFlags::SEALED),
    ("ac", VmFlags::ACCOUNT),
    ("mw", VmFlags::MAYWRITE),
];

/// Adds the mappings, notes the objects under them and what of their content is to be stored.
pub fn collect(
    scene: &Scene<'_>,
    residence: &Residence,
    ids: &mut Ids,
    objects: &mut Objects,
    out: &mut Collected,
) -> Result<()> {
    let mut vmas = Vec::with_capacity(scene.maps.len());
    for m in &scene.maps {
        let (backing, object) = under(scene, residence, m, ids, objects, out)?;
        let huge = if m.page_size == 1 << 30 { VmFlags::HUGETLB_1GIB } else { 0 };
        vmas.push(Vma {
            start: Addr(m.start),
            end: Addr(m.end),
            prot: m.prot,
            backing,
            flags: VmFlags(huge | FLAGS.iter().filter(|(name, _)| m.has(name)).map(|(_, bit)| bit).sum::<u64>()),
            object,
            offset: if object == 0 || backing == Backing::SPECIAL { 0 } else { m.offset },
            name: if m.path.starts_with(b"[") { m.path.clone().into() } else { Vec::new().into() },
        });
    }
    out.add(scene.id, Vmas { vmas: vmas.into() });
    Ok(())
}

fn under(
    scene: &Scene<'_>,
    residence: &Residence,
    m: &Mapping,
    ids: &mut Ids,
    objects: &mut Objects,
    out: &mut Collected,
) -> Result<(Backing, u64)> {
    if cryo_tracee::host::is_special(m) {
        // The vDSO's code is kept: on another kernel its old entry points must lead to the new ones.
        if m.path == b"[vdso]" {
            objects.anonymous(scene, m);
            return Ok((Backing::SPECIAL, objects.vdso(scene, m, ids)?));
        }
        return Ok((Backing::SPECIAL, 0));
    }
    // Its content is not memory's.
    if aio::is(m) {
        return Ok((Backing::ANONYMOUS, 0));
    }
    match objects.place(scene, m, ids)? {
        Place::Anonymous => {
            objects.anonymous(scene, m);
            Ok((Backing::ANONYMOUS, 0))
        }
        Place::Private(id) => {
            objects.private(scene, m, id)?;
            Ok((Backing::PRIVATE_FILE, id))
        }
        Place::Shared(id) => {
            objects.shared(scene, m, id, residence.get(&m.start), out)?;
            Ok((Backing::SHARED, id))
        }
    }
}
