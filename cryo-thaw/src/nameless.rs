//! Shared memory without a file (mmap(2), MAP_SHARED | MAP_ANONYMOUS). A process has it by fork(2) from one that mapped it, and so it is brought back
//! among those who are forked from one another. Others that share it (their parent has executed another program since, and they are children of that now) get
//! it as a memfd, with which it differs in name only. So does one that has huge TLB pages in several mappings, or a part of them.

use std::collections::{HashMap, HashSet};

use cryo_format::section::AnySection;
use cryo_format::section::objects::{Object, ObjectKind};
use cryo_format::section::vmas::{Backing, Vmas};

use crate::Result;
use crate::ice::Ice;
use crate::notes::Notes;
use crate::plan::{Birth, Step};

/// What such a memfd is called: the kernel shows /memfd: before it.
const NAME: &[u8] = b"shared";

/// Makes memfds of what is shared across the `steps` of a family whose members have these local ids.
pub fn across(ice: &mut Ice, members: &[u64], steps: &[Step], notes: &Notes) -> Result<()> {
    let mut users: HashMap<u64, HashSet<u64>> = HashMap::new();
    let mut mappings: HashMap<u64, Vec<(u64, u64)>> = HashMap::new();
    for (id, origin) in members.iter().zip(origins(steps)) {
        for vma in ice.need::<Vmas>(*id)?.vmas.iter().filter(|v| v.backing == Backing::SHARED) {
            users.entry(vma.object).or_default().insert(members[origin]);
            mappings.entry(vma.object).or_default().push((vma.offset, vma.end.0 - vma.start.0));
        }
    }
    let strangers = |o: &Object| users.get(&o.id).is_some_and(|u| u.len() > 1);
    // Of huge TLB pages there can be no duplicate of a part (mremap(2)).
    let in_parts = |o: &Object| o.huge_page != 0 && mappings.get(&o.id).is_some_and(|all| all[..] != [(0, o.size)]);
    let is = |o: &&mut Object| o.kind == ObjectKind::SHARED_ANONYMOUS && (strangers(o) || in_parts(o));
    for entry in &mut ice.frore.sections {
        let AnySection::Objects(objects) = &mut entry.payload else { continue };
        for o in objects.objects.0.iter_mut().filter(is) {
            (o.kind, o.path) = (ObjectKind::MEMFD, NAME.to_vec().into());
            notes.add(if o.huge_page == 0 {
                "memory that processes share, and that none of them was forked with here, is a memfd for them now"
            } else {
                "huge TLB pages without a file, of which several mappings or a part are there, are a memfd now"
            });
        }
    }
    Ok(())
}

/// The member from which each was forked, by way of others maybe: itself where it has executed a program.
fn origins(steps: &[Step]) -> Vec<usize> {
    let mut all = Vec::new();
    for step in steps {
        match *step {
            Step::Birth(_, Some(parent), Birth::Fork | Birth::Sibling, _) => all.push(all[parent]),
            Step::Birth(i, ..) => all.push(i),
            _ => {}
        }
    }
    all
}
