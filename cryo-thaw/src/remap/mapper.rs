//! What the mappings of a host are made with.

use std::collections::{HashMap, HashSet};
use std::os::fd::OwnedFd;

use cryo_format::section::vmas::{Backing, VmFlags, Vma};
use cryo_tracee::sysv::Segment;

use super::template::Template;
use crate::identity::Paths;
use crate::notes::Notes;
use crate::same_file::Hashes;

/// Makes them.
pub struct Mapper<'a> {
    pub template: &'a Template<'a>,
    pub paths: Paths<'a>,
    pub notes: &'a Notes,
    pub pidfd: OwnedFd,
    /// Descriptors in the host, by object; `None` where the copy in the image must do. It is decided once: a second mapping that found
    /// the file after all would have the pages of the first left out.
    pub files: HashMap<u64, Option<u64>>,
    /// Files without a name, likewise.
    pub unlinked: HashMap<u64, u64>,
    pub identical: HashSet<u64>,
    /// Shared memory that is mapped more than once: where the whole is, out of the way, and its size.
    pub whole: HashMap<u64, (u64, u64)>,
    /// See [`Shape::protect`].
    pub protect: Vec<(u64, u64, u32)>,
    /// SysV shared memory that was made: gone again if the thaw fails.
    pub made: Vec<Segment>,
    /// Whether this kernel knows MAP_DROPPABLE; asked when it is wanted.
    pub droppable: Option<bool>,
    pub hashes: Hashes,
    /// How the mappings use each object.
    pub uses: HashMap<u64, Uses>,
}

/// What the mappings of an object have in common.
#[derive(Default)]
pub struct Uses {
    pub mappings: usize,
    /// One of them is shared.
    pub shared: bool,
    /// One of them is shared and may be written.
    pub written: bool,
}

pub fn uses(vmas: &[Vma]) -> HashMap<u64, Uses> {
    let mut uses: HashMap<u64, Uses> = HashMap::new();
    for v in vmas {
        let of = uses.entry(v.object).or_default();
        of.mappings += 1;
        of.shared |= v.backing == Backing::SHARED;
        of.written |= v.backing == Backing::SHARED && v.flags.has(VmFlags::MAYWRITE);
    }
    uses
}
