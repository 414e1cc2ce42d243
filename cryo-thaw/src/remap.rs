//! The host into the template's shape.

mod files;
mod forked;
mod inject;
mod mapping;
mod overseer;

use std::collections::{HashMap, HashSet};
use std::os::fd::OwnedFd;

use cryo_format::section::objects::Objects;
use cryo_format::section::objects::{Object, ObjectKind};
use cryo_format::section::process::Process;
use cryo_format::section::vmas::{Backing, VmFlags, Vma, Vmas};
use cryo_tracee::remote::SCRATCH;
use cryo_tracee::sysv::Segment;
use cryo_tracee::{Batch, Host, fds, proc};

use files::{Uses, uses};
use mapping::{Mapping, advise};

use crate::Result;
use crate::error::{Doing, RefusalKind, reason, refuse};
use crate::ice::Ice;
use crate::identity::Paths;
use crate::notes::Notes;
use crate::options::Road;
use crate::same_file::Hashes;
use crate::vdso;

/// mseal(2), Linux 6.10.
const SYS_MSEAL: i64 = 462;
const USER_END: u64 = 0x7fff_ffff_f000;

/// What a host is shaped from.
pub struct Template<'a> {
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

    fn by_id(&self, id: u64) -> Result<&'a Object> {
        match self.objects.binary_search_by_key(&id, |o| o.id) {
            Ok(i) => Ok(&self.objects[i]),
            Err(_) => refuse(RefusalKind::Image, format!("object {id} is not in the image")),
        }
    }

    fn object(&self, vma: &Vma) -> Result<&'a Object> {
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

/// What became of the template.
pub struct Shape {
    /// Objects whose identical original is mapped: their FILE_DATA pages need not be copied.
    pub identical: HashSet<u64>,
    /// Files without a name that were made: the host's descriptors, by object.
    pub unlinked: HashMap<u64, u64>,
    /// Where this kernel's vDSO is, if it is another than the image's and the old one's entry points must lead to it.
    pub vdso: Option<vdso::Bridge>,
    /// Shared memory that is read-only in the end: a private page can be written through its protection, a shared one cannot. Start, length,
    /// protection.
    pub protect: Vec<(u64, u64, u32)>,
    /// Shared memory that it has in common with others, as a whole and out of the way: where, and how long, by object. It goes when all are born.
    pub whole: HashMap<u64, (u64, u64)>,
    made: Vec<Segment>,
}

impl Shape {
    /// The thaw came about: what was made for it outside of the host stays.
    pub fn keep(self) {
        self.made.into_iter().for_each(Segment::keep);
    }

    /// That of a process which has its memory in common with this one's: nothing is to be done for it once more.
    #[must_use]
    pub fn in_common(&self) -> Self {
        Self {
            identical: self.identical.clone(),
            unlinked: self.unlinked.clone(),
            vdso: None,
            protect: Vec::new(),
            whole: self.whole.clone(),
            made: Vec::new(),
        }
    }

    /// Takes away what was for those who are born of it.
    pub fn clear_away(&mut self, host: &mut Host) -> Result<()> {
        for (_, (at, size)) in self.whole.drain() {
            host.call(libc::SYS_munmap, [at, size, 0, 0, 0, 0])?;
        }
        Ok(())
    }

    /// Gives shared memory its protection, when it is filled.
    pub fn protect(&self, host: &mut Host) -> Result<()> {
        for (start, len, prot) in &self.protect {
            host.call(libc::SYS_mprotect, [*start, *len, (*prot).into(), 0, 0, 0])
                .doing(|| range(*start, *len, "giving it its protection"))?;
        }
        Ok(())
    }
}

/// What shapes a host.
pub struct Remapper<'a> {
    /// Which way.
    pub road: Road,
    /// How paths are followed.
    pub paths: Paths<'a>,
    /// Takes what is to be told.
    pub notes: &'a Notes,
    /// The executable, if it is an object of the image: the object, and the host's descriptor for it.
    pub executable: Option<(u64, u64)>,
    /// Files without a name that were made for others already, under descriptors that it was born with.
    pub unlinked: &'a HashMap<u64, u64>,
}

impl Remapper<'_> {
    /// Gives the host exactly the mappings of the template, empty or of the identical original files.
    pub fn remap(&self, host: &mut Host, template: &Template<'_>) -> Result<Shape> {
        let here = proc::mappings(host.pid())?;
        let base = hole(template, &here, SCRATCH)?;
        let special = host.clear(base)?;
        // Before the first path is looked up; all else that it may it needs.
        self.paths.rights.lend(host)?;
        let bridge = vdso::place(host, template.vmas, template.objects, &special, base)?;
        let mut mapper = Mapper {
            template,
            paths: self.paths,
            notes: self.notes,
            pidfd: fds::pidfd(host.pid())?,
            files: HashMap::new(),
            unlinked: self.unlinked.iter().map(|(object, fd)| (*object, *fd)).chain(self.executable).collect(),
            identical: HashSet::new(),
            whole: HashMap::new(),
            protect: Vec::new(),
            made: Vec::new(),
            droppable: None,
            hashes: Hashes::default(),
            uses: uses(template.vmas),
        };
        // Of the kernel's own mappings only the code of a vDSO is mapped, where this kernel's is another.
        let mut wanted: Vec<&Vma> = template.vmas.iter().collect();
        wanted.retain(|v| v.backing != Backing::SPECIAL || bridge.is_some() && v.name.0 == b"[vdso]");
        let list: Vec<Mapping> = wanted.iter().map(|v| mapper.mapping(host, v)).collect::<Result<_>>()?;
        let made = self.by_module(host, base, &list, &mapper.pidfd)?;
        let mut batch = host.batch()?;
        let mut advice = host.batch()?;
        for (vma, mapping) in wanted.iter().zip(&list) {
            if !advice.has_room(vma.name.len()) {
                run(host, &mut batch, &mut advice)?;
            }
            if made && overseer::takes(mapping) {
                mapper.mapped(&mut batch, mapping);
            } else {
                mapper.inject(host, &mut batch, mapping)?;
            }
            advise(&mut advice, vma);
        }
        run(host, &mut batch, &mut advice)?;
        for object in template.objects.iter().filter(|o| template.common.contains(&o.id)) {
            mapper.whole(host, object)?;
        }
        let (kept, gone): (HashMap<_, _>, HashMap<_, _>) =
            mapper.whole.into_iter().partition(|(object, _)| template.common.contains(object));
        for (at, size) in gone.values() {
            host.call(libc::SYS_munmap, [*at, *size, 0, 0, 0, 0])
                .doing(|| range(*at, *size, "taking away what its parts were made of"))?;
        }
        for fd in mapper.files.values().flatten() {
            host.call(libc::SYS_close, [*fd, 0, 0, 0, 0, 0])?;
        }
        Ok(Shape {
            identical: mapper.identical,
            unlinked: mapper.unlinked,
            vdso: bridge,
            protect: mapper.protect,
            whole: kept,
            made: mapper.made,
        })
    }

    /// Has the module of /dev/overseer make what it can, if that is the road. Was it made?
    fn by_module(&self, host: &mut Host, base: u64, list: &[Mapping], pidfd: &OwnedFd) -> Result<bool> {
        if self.road == Road::Inject {
            return Ok(false);
        }
        let takes: Vec<&Mapping> = list.iter().filter(|m| overseer::takes(m)).collect();
        match overseer::remap(host, base, &takes, pidfd)? {
            Ok(()) => Ok(true),
            Err(_) if self.road == Road::Auto => Ok(false),
            Err(why) => refuse(
                RefusalKind::Memory,
                format!("/dev/overseer: {why} (the kernel's log says more): use --remap inject"),
            ),
        }
    }
}

fn run(host: &mut Host, batch: &mut Batch, advice: &mut Batch) -> Result<()> {
    let fresh = host.batch()?;
    host.run(std::mem::replace(batch, fresh))?.all().doing(|| "mapping its memory".into())?;
    let fresh = host.batch()?;
    // Advice is advice: a kernel without transparent huge pages or names for memory says no, and the program runs all the same.
    host.run(std::mem::replace(advice, fresh).continue_at_error())?;
    Ok(())
}

struct Mapper<'a> {
    template: &'a Template<'a>,
    paths: Paths<'a>,
    notes: &'a Notes,
    pidfd: OwnedFd,
    /// Descriptors in the host, by object; `None` where the copy in the image must do. It is decided once: a second mapping that found
    /// the file after all would have the pages of the first left out.
    files: HashMap<u64, Option<u64>>,
    /// Files without a name, likewise.
    unlinked: HashMap<u64, u64>,
    identical: HashSet<u64>,
    /// Shared memory that is mapped more than once: where the whole is, out of the way, and its size.
    whole: HashMap<u64, (u64, u64)>,
    /// See [`Shape::protect`].
    protect: Vec<(u64, u64, u32)>,
    /// SysV shared memory that was made: gone again if the thaw fails.
    made: Vec<Segment>,
    /// Whether this kernel knows MAP_DROPPABLE; asked when it is wanted.
    droppable: Option<bool>,
    hashes: Hashes,
    /// How the mappings use each object.
    uses: HashMap<u64, Uses>,
}

/// What is done with a range, for messages.
fn range(start: u64, len: u64, what: &str) -> String {
    format!("memory {start:x}-{:x}: {what}", start + len)
}

fn huge_shift(vma: &Vma) -> i32 {
    if vma.flags.has(VmFlags::HUGETLB_1GIB) { 30 } else { 21 }
}

/// There are fewer huge pages than this mapping, or its content, needs: where nothing was reserved that shows only when they are touched.
pub fn pool_too_small(vma: &Vma) -> String {
    pool_lacks(&format!("memory {}-{}", vma.start, vma.end), vma.end.0 - vma.start.0, 1 << huge_shift(vma))
}

/// The same of anything that is so long, and whose pages have so many bytes.
pub fn pool_lacks(what: &str, len: u64, page: u64) -> String {
    format!(
        "{what} is made of {} huge pages of {}, and fewer are free here: have root raise /sys/kernel/mm/hugepages/hugepages-{}kB/nr_hugepages",
        len / page,
        if page == 1 << 30 { "1 GiB".into() } else { format!("{} MiB", page >> 20) },
        page >> 10
    )
}

/// mlock2(2), when the pages are there, and mseal(2), after which nothing changes any more. More than RLIMIT_MEMLOCK allows here stays unlocked, and is said.
pub fn lock_and_seal(host: &mut Host, vmas: &[Vma], notes: &Notes) -> Result<()> {
    const MLOCK_ONFAULT: u64 = 1;
    let mut refused = None;
    for vma in vmas.iter().filter(|v| v.flags.has(VmFlags::LOCKED)) {
        let flags = if vma.flags.has(VmFlags::LOCKONFAULT) { MLOCK_ONFAULT } else { 0 };
        let (start, len) = (vma.start.0, vma.end.0 - vma.start.0);
        if let Err(e) = host.call(libc::SYS_mlock2, [start, len, flags, 0, 0, 0]) {
            refused = Some(e);
        }
    }
    if let Some(e) = refused {
        notes.add(format!("some memory that was locked is not ({}): raise `ulimit -l`", reason(&e)));
    }
    for vma in vmas.iter().filter(|v| v.flags.has(VmFlags::SEALED)) {
        host.call(SYS_MSEAL, [vma.start.0, vma.end.0 - vma.start.0, 0, 0, 0, 0])
            .doing(|| range(vma.start.0, vma.end.0 - vma.start.0, "sealing it"))?;
    }
    Ok(())
}

/// Room for `len` bytes where neither the host nor the image has anything, as high as possible: the addresses below the stack are the least
/// likely to be next to something that grows.
pub fn hole(template: &Template<'_>, here: &[proc::Mapping], len: u64) -> Result<u64> {
    const APART: u64 = 1 << 21; // farther from a growing stack than its guard gap
    let mut taken: Vec<(u64, u64)> = here.iter().map(|m| (m.start, m.end)).collect();
    let all = template.descendants.iter().copied().chain([template.vmas]);
    taken.extend(all.flatten().map(|v| (v.start.0, v.end.0)));
    taken.sort_unstable();
    let mut top = USER_END;
    for (start, end) in taken.iter().rev().filter(|t| t.0 < USER_END) {
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
