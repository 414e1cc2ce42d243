//! What a host is shaped from.

use std::collections::{HashMap, HashSet};

use cryo_format::section::objects::{Object, ObjectKind, Objects};
use cryo_format::section::process::Process;
use cryo_format::section::vmas::{Backing, Vma, Vmas};
use cryo_tracee::proc;

use crate::Result;
use crate::error::{RefusalKind, refuse};
use crate::ice::Ice;

/// What a host is shaped from.
pub struct Template<'a> {
    /// Whose it is.
    pub process: &'a Process,
    /// The end of its address space.
    pub end: u64,
    /// The mappings.
    pub vmas: &'a [Vma],
    /// What is under them.
    pub objects: &'a [Object],
    /// User and group of the process.
    pub owner: (u32, u32),
    /// Mappings of processes that are forked from it: what is out of its own way must be out of theirs, too.
    pub descendants: Vec<&'a [Vma]>,
    /// Shared memory that it has, or will have, in common with these.
    pub common: HashSet<u64>,
}

impl<'a> Template<'a> {
    /// The template of process `id`.
    pub fn of(ice: &'a Ice, id: u64) -> Result<Self> {
        let process = ice.need::<Process>(id)?;
        Ok(Self {
            process,
            end: ice.arch(id).user_end(process.personality),
            vmas: &ice.need::<Vmas>(id)?.vmas,
            objects: &ice.need::<Objects>(0)?.objects,
            owner: (process.uid[1], process.gid[1]),
            descendants: Vec::new(),
            common: HashSet::new(),
        })
    }

    /// The same, for a process from which others are forked.
    pub fn with_descendants(ice: &'a Ice, id: u64, forked: &[u64]) -> Result<Self> {
        let mut template = Self::of(ice, id)?;
        for id in forked {
            template.descendants.push(&ice.need::<Vmas>(*id)?.vmas);
        }
        let nameless = |v: &&Vma| {
            v.backing == Backing::SHARED
                && template
                    .object(v)
                    .is_ok_and(|o| matches!(o.kind, ObjectKind::SHARED_ANONYMOUS | ObjectKind::SYSV_SHM))
        };
        let mut users: HashMap<u64, usize> = HashMap::new();
        for vmas in template.descendants.iter().copied().chain([template.vmas]) {
            let objects: HashSet<u64> = vmas.iter().filter(nameless).map(|v| v.object).collect();
            for object in objects {
                *users.entry(object).or_default() += 1;
            }
        }
        template.common = users.into_iter().filter(|(_, users)| *users > 1).map(|(object, _)| object).collect();
        Ok(template)
    }

    pub(super) fn by_id(&self, id: u64) -> Result<&'a Object> {
        match self.objects.binary_search_by_key(&id, |o| o.id) {
            Ok(i) => Ok(&self.objects[i]),
            Err(_) => refuse(RefusalKind::Image, format!("object {id} is not in the image")),
        }
    }

    pub(super) fn object(&self, vma: &Vma) -> Result<&'a Object> {
        // They ascend by their ids (rule 50).
        match self.objects.binary_search_by_key(&vma.object, |o| o.id) {
            Ok(i) => Ok(&self.objects[i]),
            Err(_) => refuse(
                RefusalKind::Image,
                format!("memory {}-{}: its object {} is not in the image", vma.start, vma.end, vma.object),
            ),
        }
    }
}

/// Room for `len` bytes where neither the host nor the image has anything, as high as possible: the addresses below the stack are the least
/// likely to be next to something that grows.
pub fn hole(template: &Template<'_>, here: &[proc::Mapping], len: u64) -> Result<u64> {
    const APART: u64 = 1 << 21; // farther from a growing stack than its guard gap
    let mut taken: Vec<(u64, u64)> = here.iter().map(|m| (m.start, m.end)).collect();
    let all = template.descendants.iter().copied().chain([template.vmas]);
    taken.extend(all.flatten().map(|v| (v.start.0, v.end.0)));
    taken.sort_unstable();
    let mut top = template.end;
    for (start, end) in taken.iter().rev().filter(|t| t.0 < template.end) {
        if top.saturating_sub(*end) >= len + 2 * APART {
            return Ok(top - APART - len);
        }
        top = top.min(*start);
    }
    if top >= len + 2 * APART {
        return Ok(top - APART - len);
    }
    refuse(RefusalKind::Memory, "the image leaves no room for the scratch mapping")
}

/// What is done with a range, for messages.
pub fn range(start: u64, len: u64, what: &str) -> String {
    format!("memory {start:x}-{:x}: {what}", start + len)
}
