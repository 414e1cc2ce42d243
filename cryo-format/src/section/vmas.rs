//! `VMAS`: the ranges of a process's address space and what each is, in ascending order. (proc(5), `/proc/PID/smaps`)

use binrw::binrw;
use serde::{Deserialize, Serialize};

use crate::limits::MIN_PAGE_SHIFT;
use crate::prim::{Addr, Bytes, List};
use crate::rules::{Rule, Violation, page_ranges};
use crate::section::Validate;

/// All mappings of one process, sorted by start, without overlap.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Vmas {
    /// The mappings.
    pub vmas: List<Vma>,
}

/// One mapping.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Vma {
    /// First address; page-aligned.
    pub start: Addr,
    /// First address behind it; page-aligned, above `start`.
    pub end: Addr,
    /// `PROT_READ` 1, `PROT_WRITE` 2, `PROT_EXEC` 4.
    pub prot: u32,
    /// What the content is before any page of the image is laid over it: one of the constants of [`Backing`].
    pub backing: Backing,
    /// [`VmFlags`] as a bit set.
    pub flags: VmFlags,
    /// The local id of the object in `OBJS` that is mapped; 0 for none.
    pub object: u64,
    /// Byte offset into that object; for special mappings 0.
    pub offset: u64,
    /// The name that /proc shows for a mapping without a file: `[heap]`, `[stack]`, `[vdso]`, `[anon:NAME]`; else empty.
    pub name: Bytes,
}

/// What lies under a mapping. Unknown values are kept, and refused by the thawer by number.
#[binrw]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Backing(pub u32);

impl Backing {
    /// Private memory that reads as zero until written.
    pub const ANONYMOUS: Self = Self(0);
    /// A private mapping of the object: its pages until they are written.
    pub const PRIVATE_FILE: Self = Self(1);
    /// A shared mapping of the object.
    pub const SHARED: Self = Self(2);
    /// A mapping of the kernel's own (`[vdso]`, `[vvar]`, `[vvar_vclock]`): recognised by VM_IO, VM_PFNMAP or its name, moved, never copied into.
    pub const SPECIAL: Self = Self(3);
}

/// The `VmFlags` of proc(5) that a thaw brings back.
#[binrw]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct VmFlags(pub u64);

impl VmFlags {
    /// `gd`: grows down (a stack).
    pub const GROWSDOWN: u64 = 1 << 0;
    /// `lo`: pages are locked in memory.
    pub const LOCKED: u64 = 1 << 1;
    /// `dc`: not copied on fork (MADV_DONTFORK).
    pub const DONTFORK: u64 = 1 << 2;
    /// `wf`: wiped on fork (MADV_WIPEONFORK).
    pub const WIPEONFORK: u64 = 1 << 3;
    /// `dd`: not in core dumps (MADV_DONTDUMP).
    pub const DONTDUMP: u64 = 1 << 4;
    /// `hg`: MADV_HUGEPAGE.
    pub const HUGEPAGE: u64 = 1 << 5;
    /// `nh`: MADV_NOHUGEPAGE.
    pub const NOHUGEPAGE: u64 = 1 << 6;
    /// `mg`: MADV_MERGEABLE.
    pub const MERGEABLE: u64 = 1 << 7;
    /// `nr`: MAP_NORESERVE.
    pub const NORESERVE: u64 = 1 << 8;
    /// `ht`: huge TLB pages.
    pub const HUGETLB: u64 = 1 << 9;
    /// `sr`: MADV_SEQUENTIAL.
    pub const SEQUENTIAL: u64 = 1 << 10;
    /// `rr`: MADV_RANDOM.
    pub const RANDOM: u64 = 1 << 11;
    /// `lf`: locked on fault (MLOCK_ONFAULT).
    pub const LOCKONFAULT: u64 = 1 << 12;
    /// `dp`: MAP_DROPPABLE.
    pub const DROPPABLE: u64 = 1 << 13;
    /// `sl`: sealed (mseal).
    pub const SEALED: u64 = 1 << 14;
    /// `ac`: counts against the commit limit: it is, or once was, private and writable.
    pub const ACCOUNT: u64 = 1 << 15;
    /// `mw`: may be made writable: under a shared mapping, the file was opened for writing.
    pub const MAYWRITE: u64 = 1 << 16;

    /// With `HUGETLB`: pages of 1 GiB, not of 2 MiB.
    pub const HUGETLB_1GIB: u64 = 1 << 17;

    /// Is `bit` set?
    pub fn has(self, bit: u64) -> bool {
        self.0 & bit != 0
    }
}

impl Vmas {
    /// Checks order and alignment for pages of `page` bytes.
    pub fn check(&self, page: u64) -> Result<(), Violation> {
        page_ranges(page, self.vmas.iter().map(|v| (v.start, v.end)))?;
        let names_none = |v: &&Vma| matches!(v.backing, Backing::PRIVATE_FILE | Backing::SHARED) && v.object == 0;
        match self.vmas.iter().find(names_none) {
            Some(v) => Err(Rule::VMA_OBJECT.broken(format!("{}-{} maps an object, but names none", v.start, v.end))),
            None => Ok(()),
        }
    }
}

impl Validate for Vmas {
    fn validate(&self) -> Result<(), Violation> {
        self.check(1 << MIN_PAGE_SHIFT)
    }
}

/// A part of a mapping that a process and its parent have alike: what fork(2) gives, and what a host that is forked from the parent's keeps.
#[derive(Clone, Copy, Debug)]
pub struct Alike<'a> {
    /// First address.
    pub start: u64,
    /// First address behind it.
    pub end: u64,
    /// The parent's mapping.
    pub parents: &'a Vma,
    /// The process's.
    pub own: &'a Vma,
}

impl Alike<'_> {
    /// Are its pages each one's own once they are written to?
    pub fn is_private(&self) -> bool {
        matches!(self.own.backing, Backing::ANONYMOUS | Backing::PRIVATE_FILE)
    }
}

/// What both have mapped alike, ascending.
pub fn alike<'a>(parents: &'a [Vma], own: &'a [Vma]) -> Vec<Alike<'a>> {
    let mut all = Vec::new();
    for vma in own.iter().filter(|v| v.backing != Backing::SPECIAL) {
        let first = parents.partition_point(|p| p.end <= vma.start);
        for p in parents[first..].iter().take_while(|p| p.start < vma.end).filter(|p| is_alike(p, vma)) {
            let (start, end) = (p.start.0.max(vma.start.0), p.end.0.min(vma.end.0));
            all.push(Alike { start, end, parents: p, own: vma });
        }
    }
    all
}

/// Flags in which two mappings may differ and are alike all the same: fork(2) gives no lock, and these are set when all is mapped.
const SET_LATER: u64 = VmFlags::LOCKED | VmFlags::LOCKONFAULT | VmFlags::SEALED | VmFlags::MAYWRITE | VmFlags::ACCOUNT;

fn is_alike(p: &Vma, c: &Vma) -> bool {
    let bits = |v: &Vma| v.flags.0 & !SET_LATER;
    let shift = |v: &Vma| if v.backing == Backing::ANONYMOUS { 0 } else { v.offset.wrapping_sub(v.start.0) };
    let not_inherited = VmFlags::DONTFORK | VmFlags::WIPEONFORK | VmFlags::HUGETLB | VmFlags::HUGETLB_1GIB;
    p.backing == c.backing
        && p.object == c.object
        && shift(p) == shift(c)
        && bits(p) == bits(c)
        && p.name == c.name
        && bits(p) & not_inherited == 0
}
