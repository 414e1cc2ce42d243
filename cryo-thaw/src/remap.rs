//! The host into the template's shape.

mod files;
mod forked;
mod huge;
mod inject;
mod mapper;
mod mapping;
mod overseer;
mod template;

use std::collections::{HashMap, HashSet};
use std::os::fd::OwnedFd;
use std::path::Path;

use cryo_format::section::vmas::{Backing, VmFlags, Vma};
use cryo_tracee::remote::SCRATCH;
use cryo_tracee::sysv::Segment;
use cryo_tracee::{Batch, Host, fds, proc};

pub use huge::{pool_lacks, pool_too_small};
pub use template::{Template, hole};

use mapper::{Mapper, uses};
use mapping::{Mapping, advise};
use template::range;

use crate::Result;
use crate::error::{Doing, RefusalKind, reason, refuse};
use crate::identity::Paths;
use crate::notes::Notes;
use crate::options::Road;
use crate::personality;
use crate::same_file::Hashes;
use crate::vdso;

/// mseal(2), Linux 6.10.
const SYS_MSEAL: i64 = 462;

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
        personality::begin(host, template.process)?;
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
            Err(_) if !Path::new("/dev/overseer").exists() => refuse(
                RefusalKind::Memory,
                "--remap overseer: the module overseer is not loaded, there is no /dev/overseer: use --remap inject",
            ),
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
