//! What is to be mapped, as a list: made of the template and of what was found under its mappings, without a process.

use cryo_format::section::vmas::{Backing, VmFlags, Vma};
use cryo_tracee::Batch;

use super::huge::huge_shift;

/// MAP_DROPPABLE (linux/mman.h, 6.11): a map type beside MAP_PRIVATE and MAP_SHARED.
pub(super) const MAP_DROPPABLE: i32 = 0x08;
const PR_SET_VMA: u64 = 0x53564d41;
const OPEN: u32 = (libc::PROT_READ | libc::PROT_WRITE) as u32;

/// What a mapping is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// Empty memory of its own. Its content comes with the pages of the image.
    Nothing,
    /// Shared memory without a file, all of it, and mapped nowhere else.
    Shared,
    /// A part of such memory, or of a SysV segment: the object.
    Part(u64),
    /// The original file: the host's descriptor, and whether it is open for writing.
    File { fd: u64, write: bool },
    /// A file without a name that was made: the host's descriptor.
    Made(u64),
}

/// A mapping to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mapping {
    pub start: u64,
    pub len: u64,
    /// As it is made.
    pub prot: u32,
    /// As mmap(2) takes them.
    pub flags: i32,
    pub source: Source,
    pub offset: u64,
    /// Its protection as soon as it is made, if that is another.
    pub then: Option<u32>,
    /// Its protection when it is filled, if that is another.
    pub later: Option<u32>,
    /// Of huge TLB pages of so many bits.
    pub huge: Option<i32>,
}

impl Mapping {
    /// Of a mapping of the template. `file`: its object is a file with a name; `droppable`: it is memory that this kernel may drop.
    pub fn new(vma: &Vma, source: Source, file: bool, droppable: bool) -> Self {
        let shared = vma.backing == Backing::SHARED;
        let mut flags = libc::MAP_FIXED_NOREPLACE
            | match source {
                Source::Nothing => libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                Source::Shared => libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                Source::Part(_) => libc::MAP_SHARED,
                Source::File { .. } | Source::Made(_) if shared => libc::MAP_SHARED,
                Source::File { .. } | Source::Made(_) => libc::MAP_PRIVATE,
            };
        if droppable {
            flags = flags & !libc::MAP_PRIVATE | MAP_DROPPABLE;
        }
        if vma.flags.has(VmFlags::GROWSDOWN) {
            flags |= libc::MAP_GROWSDOWN;
        }
        if vma.flags.has(VmFlags::NORESERVE) {
            flags |= libc::MAP_NORESERVE;
        }
        let huge = vma.flags.has(VmFlags::HUGETLB).then(|| huge_shift(vma));
        // A private page is written through its protection; into shared memory, and into huge pages, the kernel does not write so.
        let filled = shared && !file || !shared && huge.is_some();
        let (mut prot, mut later) = (vma.prot, None);
        if vma.backing == Backing::SPECIAL {
            prot = (libc::PROT_READ | libc::PROT_EXEC) as u32;
        } else if filled {
            later = writable(vma);
            prot |= OPEN;
        }
        // What once was writable counts as such for ever, and would not join its neighbour otherwise (the relocated, now read-only data of libraries).
        let counted = vma.flags.has(VmFlags::ACCOUNT)
            && prot & libc::PROT_WRITE as u32 == 0
            && flags & libc::MAP_PRIVATE != 0
            && huge.is_none();
        let then = counted.then_some(prot);
        if counted {
            prot |= libc::PROT_WRITE as u32;
        }
        Self {
            start: vma.start.0,
            len: vma.end.0 - vma.start.0,
            prot,
            flags,
            source,
            offset: vma.offset,
            then,
            later,
            huge,
        }
    }
}

/// The protection that shared memory has when it is filled, if it cannot be filled under it.
pub(super) fn writable(vma: &Vma) -> Option<u32> {
    (vma.prot & OPEN != OPEN).then_some(vma.prot)
}

/// madvise(2) and names.
pub(super) fn advise(batch: &mut Batch, vma: &Vma) {
    const ADVICE: [(u64, i32); 8] = [
        (VmFlags::DONTFORK, libc::MADV_DONTFORK),
        (VmFlags::WIPEONFORK, libc::MADV_WIPEONFORK),
        (VmFlags::DONTDUMP, libc::MADV_DONTDUMP),
        (VmFlags::HUGEPAGE, libc::MADV_HUGEPAGE),
        (VmFlags::NOHUGEPAGE, libc::MADV_NOHUGEPAGE),
        (VmFlags::MERGEABLE, libc::MADV_MERGEABLE),
        (VmFlags::SEQUENTIAL, libc::MADV_SEQUENTIAL),
        (VmFlags::RANDOM, libc::MADV_RANDOM),
    ];
    let (start, len) = (vma.start.0, vma.end.0 - vma.start.0);
    for (flag, advice) in ADVICE {
        if vma.flags.has(flag) {
            batch.call(libc::SYS_madvise, &[start, len, advice as u64]);
        }
    }
    if let Some(name) = vma.name.strip_prefix(b"[anon:").and_then(|n| n.strip_suffix(b"]")) {
        let name = batch.put(&[name, b"\0"].concat());
        batch.call(libc::SYS_prctl, &[PR_SET_VMA, 0, start, len, name.addr]);
    }
}

#[cfg(test)]
mod tests {
    use cryo_format::prim::Addr;

    use super::*;

    const READ: u32 = libc::PROT_READ as u32;
    const PRIVATE: i32 = libc::MAP_FIXED_NOREPLACE | libc::MAP_PRIVATE;
    const SHARED: i32 = libc::MAP_FIXED_NOREPLACE | libc::MAP_SHARED;

    fn vma(backing: Backing, prot: u32, flags: u64) -> Vma {
        let (start, end) = (Addr(0x10000), Addr(0x14000));
        Vma { start, end, prot, backing, flags: VmFlags(flags), offset: 0x1000, ..Vma::default() }
    }

    #[test]
    fn memory_of_its_own() {
        let m = Mapping::new(&vma(Backing::ANONYMOUS, OPEN, VmFlags::GROWSDOWN), Source::Nothing, false, false);
        assert_eq!((m.start, m.len, m.prot, m.then, m.later), (0x10000, 0x4000, OPEN, None, None));
        assert_eq!(m.flags, PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_GROWSDOWN);
        let m = Mapping::new(&vma(Backing::ANONYMOUS, OPEN, VmFlags::NORESERVE), Source::Nothing, false, true);
        let droppable = libc::MAP_FIXED_NOREPLACE | MAP_DROPPABLE | libc::MAP_ANONYMOUS;
        assert_eq!(m.flags, droppable | libc::MAP_NORESERVE);
    }

    #[test]
    fn what_was_writable_once_is_so_first() {
        let file = Source::File { fd: 7, write: false };
        let m = Mapping::new(&vma(Backing::PRIVATE_FILE, READ, VmFlags::ACCOUNT), file, true, false);
        assert_eq!((m.flags, m.offset, m.prot, m.then, m.later), (PRIVATE, 0x1000, OPEN, Some(READ), None));
    }

    #[test]
    fn shared_memory_is_filled_before_it_is_protected() {
        let m = Mapping::new(&vma(Backing::SHARED, READ, 0), Source::Made(7), false, false);
        assert_eq!((m.flags, m.prot, m.then, m.later), (SHARED, OPEN, None, Some(READ)));
        // What stands in a file with a name stands there.
        let m = Mapping::new(&vma(Backing::SHARED, READ, 0), Source::File { fd: 7, write: true }, true, false);
        assert_eq!((m.flags, m.prot, m.then, m.later), (SHARED, READ, None, None));
        // On another machine its copy takes its place.
        let m = Mapping::new(&vma(Backing::SHARED, READ, 0), Source::Nothing, true, false);
        assert_eq!((m.flags, m.prot, m.later), (PRIVATE | libc::MAP_ANONYMOUS, READ, None));
    }

    #[test]
    fn huge_pages_are_filled_before_they_are_protected() {
        let flags = VmFlags::HUGETLB | VmFlags::ACCOUNT;
        let m = Mapping::new(&vma(Backing::ANONYMOUS, READ, flags), Source::Nothing, false, false);
        assert_eq!((m.huge, m.prot, m.then, m.later), (Some(21), OPEN, None, Some(READ)));
    }
}
