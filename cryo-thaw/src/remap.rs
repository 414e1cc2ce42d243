//! The host into the template's shape.

mod forked;

use std::collections::{HashMap, HashSet};
use std::fs::Metadata;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;

use cryo_format::section::objects::{Object, ObjectKind, Objects};
use cryo_format::section::process::Process;
use cryo_format::section::vmas::{Backing, VmFlags, Vma, Vmas};
use cryo_tracee::remote::SCRATCH;
use cryo_tracee::sysv::Segment;
use cryo_tracee::{Batch, Host, fds, proc};

use crate::Result;
use crate::error::{Doing, RefusalKind, reason, refuse};
use crate::ice::Ice;
use crate::identity::{Frozen, Paths};
use crate::notes::Notes;
use crate::restore::open;
use crate::same_file::{Hashes, same_file};
use crate::{file_map, sysv, unlinked, vdso};

/// MAP_DROPPABLE (linux/mman.h, 6.11): a map type beside MAP_PRIVATE and MAP_SHARED.
const MAP_DROPPABLE: i32 = 0x08;
const PR_SET_VMA: u64 = 0x53564d41;
/// mseal(2), Linux 6.10.
const SYS_MSEAL: i64 = 462;
const USER_END: u64 = 0x7fff_ffff_f000;

/// A road to a host in the template's shape.
pub trait Remapper {
    /// Gives the host exactly the mappings of the template, empty or of the identical original files.
    fn remap(&self, host: &mut Host, template: &Template<'_>) -> Result<Shape>;
}

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

/// System calls made inside the host.
pub struct Inject<'a> {
    /// How paths are followed.
    pub paths: Paths<'a>,
    /// Takes what is to be told.
    pub notes: &'a Notes,
    /// The executable, if it is an object of the image: the object, and the host's descriptor for it.
    pub executable: Option<(u64, u64)>,
    /// Files without a name that were made for others already, under descriptors that it was born with.
    pub unlinked: &'a HashMap<u64, u64>,
}

impl Remapper for Inject<'_> {
    fn remap(&self, host: &mut Host, template: &Template<'_>) -> Result<Shape> {
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
        let mut batch = host.batch()?;
        let mut advice = host.batch()?;
        for vma in template.vmas {
            if vma.backing == Backing::SPECIAL && (bridge.is_none() || vma.name.0 != b"[vdso]") {
                continue;
            }
            if !advice.has_room(vma.name.len()) {
                run(host, &mut batch, &mut advice)?;
            }
            mapper.map(host, &mut batch, vma)?;
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

/// What the mappings of an object have in common.
#[derive(Default)]
struct Uses {
    mappings: usize,
    /// One of them is shared.
    shared: bool,
    /// One of them is shared and may be written.
    written: bool,
}

fn uses(vmas: &[Vma]) -> HashMap<u64, Uses> {
    let mut uses: HashMap<u64, Uses> = HashMap::new();
    for v in vmas {
        let of = uses.entry(v.object).or_default();
        of.mappings += 1;
        of.shared |= v.backing == Backing::SHARED;
        of.written |= v.backing == Backing::SHARED && v.flags.has(VmFlags::MAYWRITE);
    }
    uses
}

impl Mapper<'_> {
    fn map(&mut self, host: &mut Host, batch: &mut Batch, vma: &Vma) -> Result<()> {
        let (start, len) = (vma.start.0, vma.end.0 - vma.start.0);
        let mut flags = libc::MAP_FIXED_NOREPLACE;
        let mut fd = u64::MAX;
        let mut offset = 0;
        match vma.backing {
            Backing::ANONYMOUS | Backing::SPECIAL => flags |= libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            Backing::SHARED if self.template.object(vma)?.kind == ObjectKind::SHARED_ANONYMOUS => {
                let object = self.template.object(vma)?;
                if vma.offset != 0
                    || object.size != len
                    || self.mapped_often(object)
                    || self.template.common.contains(&object.id)
                    || self.whole.contains_key(&object.id)
                {
                    return self.share(host, batch, vma, object);
                }
                flags |= libc::MAP_SHARED | libc::MAP_ANONYMOUS;
            }
            Backing::SHARED if self.template.object(vma)?.kind == ObjectKind::SYSV_SHM => {
                let object = self.template.object(vma)?;
                return self.share(host, batch, vma, object);
            }
            Backing::SHARED if unlinked::is(self.template.object(vma)?) => {
                fd = self.unlinked(host, self.template.object(vma)?)?;
                offset = vma.offset;
                flags |= libc::MAP_SHARED;
            }
            // It shows what is written to the file later, but for its own pages.
            Backing::PRIVATE_FILE if unlinked::is(self.template.object(vma)?) => {
                fd = self.unlinked(host, self.template.object(vma)?)?;
                offset = vma.offset;
                flags |= libc::MAP_PRIVATE;
            }
            _ => match self.file(host, vma)? {
                Some(open) => {
                    fd = open;
                    offset = vma.offset;
                    flags |= if vma.backing == Backing::SHARED { libc::MAP_SHARED } else { libc::MAP_PRIVATE };
                }
                None => flags |= libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            },
        }
        if vma.flags.has(VmFlags::DROPPABLE) && self.droppable(host)? {
            flags = flags & !libc::MAP_PRIVATE | MAP_DROPPABLE;
        }
        if vma.flags.has(VmFlags::GROWSDOWN) {
            flags |= libc::MAP_GROWSDOWN;
        }
        if vma.flags.has(VmFlags::NORESERVE) {
            flags |= libc::MAP_NORESERVE;
        }
        let filled = vma.backing == Backing::SHARED && self.template.object(vma)?.kind != ObjectKind::FILE
            // Through their protection the kernel writes into none.
            || vma.backing != Backing::SHARED && vma.flags.has(VmFlags::HUGETLB);
        let prot = match vma.backing {
            Backing::SPECIAL => libc::PROT_READ | libc::PROT_EXEC,
            _ if filled => self.writable(vma) as i32,
            _ => vma.prot as i32,
        };
        if vma.flags.has(VmFlags::HUGETLB) {
            return huge(host, vma, prot, flags, fd, offset);
        }
        // What once was writable counts as such for ever, and would not join its neighbour otherwise (the relocated, now read-only data of libraries).
        let counted = vma.flags.has(VmFlags::ACCOUNT) && prot & libc::PROT_WRITE == 0 && flags & libc::MAP_PRIVATE != 0;
        let first = if counted { prot | libc::PROT_WRITE } else { prot };
        batch.call(libc::SYS_mmap, &[start, len, first as u64, flags as u64, fd, offset]);
        if counted {
            batch.call(libc::SYS_mprotect, &[start, len, prot as u64]);
        }
        Ok(())
    }

    /// Whether this kernel has memory that it may drop. Elsewhere it is kept, which is allowed, too.
    fn droppable(&mut self, host: &mut Host) -> Result<bool> {
        if let Some(known) = self.droppable {
            return Ok(known);
        }
        let (prot, flags) = (libc::PROT_READ as u64, (MAP_DROPPABLE | libc::MAP_ANONYMOUS) as u64);
        let tried = host.call(libc::SYS_mmap, [0, 4096, prot, flags, u64::MAX, 0]);
        if let Ok(at) = tried {
            host.call(libc::SYS_munmap, [at, 4096, 0, 0, 0, 0]).doing(|| "trying memory that may be dropped".into())?;
        }
        Ok(*self.droppable.insert(tried.is_ok()))
    }

    fn mapped_often(&self, object: &Object) -> bool {
        self.uses.get(&object.id).is_some_and(|u| u.mappings > 1)
    }

    /// One of several mappings of nameless shared memory: the whole is mapped once, out of the way, and each mapping is a duplicate of a part of it
    /// (mremap(2) with an old size of 0).
    fn share(&mut self, host: &mut Host, batch: &mut Batch, vma: &Vma, object: &Object) -> Result<()> {
        let whole = self.whole(host, object)?;
        let (start, len) = (vma.start.0, vma.end.0 - vma.start.0);
        let flags = (libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED) as u64;
        batch.call(libc::SYS_mremap, &[whole + vma.offset, 0, len, flags, start]);
        batch.call(libc::SYS_mprotect, &[start, len, self.writable(vma).into()]);
        Ok(())
    }

    /// Where the whole of such memory is.
    fn whole(&mut self, host: &mut Host, object: &Object) -> Result<u64> {
        if let Some((at, _)) = self.whole.get(&object.id) {
            return Ok(*at);
        }
        let size = object.size.next_multiple_of(4096);
        let taken = self.whole.values().map(|(at, size)| proc::Mapping::range(*at, at + size));
        let here: Vec<proc::Mapping> = proc::mappings(host.pid())?.into_iter().chain(taken).collect();
        let at = hole(self.template, &here, size)?;
        if object.kind == ObjectKind::SYSV_SHM {
            self.made.extend(sysv::attach(self.notes, host, object, at, self.template.owner)?);
        } else {
            let flags = libc::MAP_FIXED_NOREPLACE | libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
            let prot = libc::PROT_READ | libc::PROT_WRITE;
            host.call(libc::SYS_mmap, [at, size, prot as u64, flags as u64, u64::MAX, 0])
                .doing(|| range(at, size, "mapping shared memory"))?;
        }
        self.whole.insert(object.id, (at, size));
        Ok(at)
    }

    /// The protection of shared memory while it is filled.
    fn writable(&mut self, vma: &Vma) -> u32 {
        let open = (libc::PROT_READ | libc::PROT_WRITE) as u32;
        if vma.prot & open != open {
            self.protect.push((vma.start.0, vma.end.0 - vma.start.0, vma.prot));
        }
        vma.prot | open
    }

    /// A file without a name, made for this mapping, for others of it and for the descriptors that refer to it.
    fn unlinked(&mut self, host: &mut Host, object: &Object) -> Result<u64> {
        if let Some(fd) = self.unlinked.get(&object.id) {
            return Ok(*fd);
        }
        let fd = unlinked::make(host, object)?;
        self.unlinked.insert(object.id, fd);
        Ok(fd)
    }

    /// The original file under a mapping, opened in the host once for all of its mappings; `None` where the copy in the image must do.
    fn file(&mut self, host: &mut Host, vma: &Vma) -> Result<Option<u64>> {
        let object = self.template.object(vma)?;
        if let Some(known) = self.files.get(&object.id) {
            return Ok(*known);
        }
        let access = match self.uses.get(&object.id) {
            Some(u) if u.written => Access::Written,
            Some(u) if u.shared => Access::Read,
            _ => Access::Private,
        };
        let opened = match self.open(host, object, access)? {
            Ok(fd) => Some(fd),
            Err(why) => {
                self.without(object, vma, access, &why)?;
                None
            }
        };
        self.identical.extend(opened.map(|_| object.id));
        self.files.insert(object.id, opened);
        Ok(opened)
    }

    /// Opens the file if it is the right one; the inner error says why not.
    fn open(&mut self, host: &mut Host, object: &Object, access: Access) -> Result<std::result::Result<u64, String>> {
        let paths = self.paths;
        let named = paths.named.contains(&object.id);
        if object.kind != ObjectKind::FILE {
            return Ok(Err("its name was gone when it was frozen".into()));
        }
        let held = match open::look(host, &self.pidfd, &object.path, if named { 0 } else { libc::O_NOFOLLOW })? {
            Ok(held) => held,
            Err(e) => return Ok(Err(e.to_string())),
        };
        // Nothing but a file is opened, and nothing is waited for: the image may lie.
        let opened = if held.meta.is_file() {
            let mode = if access == Access::Written { libc::O_RDWR } else { libc::O_RDONLY };
            let flags = mode | libc::O_CLOEXEC | libc::O_NONBLOCK | libc::O_NOCTTY;
            open::open(host, format!("/proc/self/fd/{}", held.handle).as_bytes(), flags)?.map_err(|e| match e.errno() {
                Some(errno) => std::io::Error::from_raw_os_error(errno).to_string(),
                None => e.to_string(),
            })
        } else {
            Err("it is no regular file".into())
        };
        host.call(libc::SYS_close, [held.handle, 0, 0, 0, 0, 0])?;
        let fd = match opened {
            Ok(fd) => fd,
            Err(why) => return Ok(Err(why)),
        };
        let was = Frozen::from(object);
        let mut same_content =
            || -> Result<bool> { Ok(same_file(object, &fds::take(&self.pidfd, fd as i32)?.into(), &mut self.hashes)) };
        let why = match access {
            // Written through to whoever has the file, now as then: whatever is in it.
            _ if access != Access::Private && (named || paths.same_machine && was.is_inode(&held.meta)) => None,
            _ if same_content()? => None,
            Access::Written => was.differs(&held.meta, paths.same_machine),
            _ => Some(was.differs(&held.meta, paths.same_machine).unwrap_or("its content is another one".into())),
        };
        let shrunk = || {
            let (is, was) = (held.meta.len(), object.size);
            (access != Access::Private && !named && is < was)
                .then(|| format!("it has {is} bytes now, and had {was} when it was frozen"))
        };
        let Some(why) = why.or_else(shrunk) else {
            if access != Access::Private && paths.same_machine {
                self.changed(object, &held.meta);
            }
            return Ok(Ok(fd));
        };
        host.call(libc::SYS_close, [fd, 0, 0, 0, 0, 0])?;
        Ok(Err(why))
    }

    /// A mapped file that was written since is a note: the program's memory is what stands there now.
    fn changed(&self, object: &Object, meta: &Metadata) {
        if (meta.mtime(), meta.mtime_nsec() as u64) != (object.mtime_sec, object.mtime_nsec) {
            self.notes.add(format!(
                "{} is mapped, and was written since it was frozen: the program has what stands there now",
                object.path
            ));
        }
    }

    /// The file is not here: can its copy in the image take its place? It can for private pages. Shared ones show what others write into the file;
    /// that nobody does so on another machine is said, and nothing is taken for granted on this one.
    fn without(&self, object: &Object, vma: &Vma, access: Access, why: &str) -> Result<()> {
        // BLAKE3 was computed only where the pages were left out.
        if object.digest.0 != [0; 32] {
            return refuse(
                RefusalKind::File,
                format!(
                    "{} (mapped at {}) is not here as it was frozen (size {}, build-id {}): bring it, or freeze with --files embed",
                    object.path,
                    vma.start,
                    object.size,
                    cryo_format::prim::hex(&object.build_id)
                ),
            );
        }
        match access {
            Access::Private => Ok(()),
            Access::Read if !self.paths.same_machine => {
                self.notes.add(format!(
                    "{} (mapped at {}): {why}: the program has the copy in the image",
                    object.path, vma.start
                ));
                Ok(())
            }
            _ => refuse(
                RefusalKind::File,
                format!(
                    "{} (mapped at {}): {why}: bring the file back, or use {}",
                    object.path,
                    vma.start,
                    file_map::or_this(&object.path)
                ),
            ),
        }
    }
}

/// How all mappings of a file together use it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Private,
    /// Shared, and only read.
    Read,
    /// Shared, and open for writing.
    Written,
}

/// madvise(2) and names.
fn advise(batch: &mut Batch, vma: &Vma) {
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

/// Memory made of huge TLB pages, which come out of a pool.
fn huge(host: &mut Host, vma: &Vma, prot: i32, mut flags: i32, fd: u64, offset: u64) -> Result<()> {
    let (start, len) = (vma.start.0, vma.end.0 - vma.start.0);
    if flags & libc::MAP_ANONYMOUS != 0 {
        flags |= libc::MAP_HUGETLB | huge_shift(vma) << libc::MAP_HUGE_SHIFT;
    }
    match host.call(libc::SYS_mmap, [start, len, prot as u64, flags as u64, fd, offset]) {
        Err(e) if e.errno() == Some(libc::ENOMEM) => refuse(RefusalKind::Memory, pool_too_small(vma)),
        other => other.map(drop).doing(|| range(start, len, "mapping huge pages")),
    }
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
