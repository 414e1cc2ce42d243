//! `OBJS`: what mappings and deleted descriptors refer to, and where the content of all memory is read from.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{File, Metadata};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use cryo_format::prim::Raw;
use cryo_format::section::attributes::{Attributes, InodeAttributes};
use cryo_format::section::extents::Content as Kind;
use cryo_format::section::objects::{Object, ObjectKind, Objects as Section};
use cryo_tracee::Memory;
use cryo_tracee::elf::{build_id, build_id_of};
use cryo_tracee::proc::{self, Mapping, Present};

use super::content::{Content, PageSource, Part};
use super::noticed::Noticed;
use super::{Collected, Ids, RefusalKind, Scene, anon_inodes, guards, inodes, refuse, shared, sysv};
use crate::Result;
use crate::error::About;
use crate::options::Files;
use crate::pages::PAGE;

mod embedded;

/// Bytes of a mapped file in which its build-id is looked for, where the file itself is not read.
const HEAD: u64 = 64 << 10;

/// What is under a mapping.
pub enum Place {
    /// Nothing: private memory.
    Anonymous,
    /// A private mapping of this object.
    Private(u64),
    /// A shared mapping of this object.
    Shared(u64),
}

type Key = (u64, u64);

/// Pages of a memory object, by offset, that can be read at the offset plus `shift`.
struct SharedPages {
    object: u64,
    start: u64,
    end: u64,
    member: usize,
    shift: i64,
}

/// Objects found so far, of all members.
pub struct Objects {
    /// What the members have mapped for sharing that no path leads to: each member, and the offsets.
    mapped: HashMap<Key, Vec<(usize, Range<u64>)>>,
    objects: Vec<Object>,
    /// The file behind an object, where it can be read.
    files: HashMap<u64, File>,
    by_inode: HashMap<Key, u64>,
    /// Pages of memory objects, as their mappings show them.
    shared: Vec<SharedPages>,
    /// The offsets that shared mappings show of each memory object.
    windows: HashMap<u64, Vec<Range<u64>>>,
    /// Objects whose content is read from their file.
    whole: HashSet<u64>,
    /// What their inodes have besides.
    attributes: Vec<InodeAttributes>,
    /// Guards that the page maps showed, of each process.
    guards: HashMap<u64, Vec<Present>>,
    /// What all of it is read from.
    content: BTreeMap<u64, Vec<Content>>,
    refer: bool,
    /// How many have the mappings of each member: it, and its copy.
    processes: Vec<u64>,
}

fn makedev(m: &Mapping) -> u64 {
    rustix::fs::makedev(m.dev.0, m.dev.1)
}

/// The pages of all mappings but special ones.
pub fn pages(pid: i32, maps: &[Mapping]) -> Result<Vec<Present>> {
    let pagemap = proc::pagemap(pid)?;
    let mut pages = Vec::new();
    for m in maps.iter().filter(|m| !cryo_tracee::host::is_special(m)) {
        pages.extend(proc::present(&pagemap, m.start, m.end, !m.shared && m.ino == 0 && !m.path.starts_with(b"/"))?);
    }
    Ok(pages)
}

impl Objects {
    /// None yet.
    pub fn new(scenes: &[Scene<'_>]) -> Self {
        let mut mapped: HashMap<Key, Vec<(usize, Range<u64>)>> = HashMap::new();
        for scene in scenes {
            for m in scene.maps.iter().filter(|m| m.shared && m.path.ends_with(b" (deleted)")) {
                let window = m.offset..m.offset + (m.end - m.start);
                mapped.entry((makedev(m), m.ino)).or_default().push((scene.member, window));
            }
        }
        Self {
            mapped,
            objects: Vec::new(),
            files: HashMap::new(),
            by_inode: HashMap::new(),
            shared: Vec::new(),
            windows: HashMap::new(),
            whole: HashSet::new(),
            attributes: Vec::new(),
            guards: HashMap::new(),
            content: BTreeMap::new(),
            refer: scenes.first().is_some_and(|s| s.options.files == Files::Refer),
            processes: vec![1; scenes.len()],
        }
    }

    /// The member at this place has been copied, with all its mappings.
    pub fn copied(&mut self, member: usize) {
        self.processes[member] = 2;
    }

    /// Finds or makes the object under a mapping.
    pub fn place(&mut self, scene: &Scene<'_>, m: &Mapping, ids: &mut Ids) -> Result<Place> {
        if m.ino == 0 && !m.path.starts_with(b"/") && !m.path.starts_with(b"anon_inode:") {
            return Ok(Place::Anonymous);
        }
        let what = || format!("memory {:x}-{:x} ({})", m.start, m.end, String::from_utf8_lossy(&m.path));
        // A private mapping of /dev/zero is the old way to ask for anonymous memory.
        if m.path == b"/dev/zero" && !m.shared {
            return Ok(Place::Anonymous);
        }
        if m.path == b"/anon_hugepage (deleted)" && !m.shared {
            return Ok(Place::Anonymous);
        }
        if m.path.starts_with(b"anon_inode:") || m.has("io") || m.has("pf") {
            let why = anon_inodes::mapped(&m.path).unwrap_or("it maps a device, which cannot be carried");
            return refuse(RefusalKind::Memory, format!("{} of process {}: {why}", what(), scene.pid));
        }
        let key = (makedev(m), m.ino);
        let id = match self.by_inode.get(&key) {
            Some(id) => *id,
            None => self.make(scene, m, key, ids)?,
        };
        Ok(if m.shared { Place::Shared(id) } else { Place::Private(id) })
    }

    fn make(&mut self, scene: &Scene<'_>, m: &Mapping, key: Key, ids: &mut Ids) -> Result<u64> {
        let id = ids.fresh();
        let mut path = m.path.clone();
        let noticed = &scene.machine.noticed;
        let mut live = open_identical(&path, m, noticed);
        if live.is_none()
            && kind_of(&path) == ObjectKind::DELETED
            && let Some(other) = inodes::other_name(&path, |meta| is_mapped(meta, m))
        {
            live = open_identical(&other, m, noticed);
            path = other;
        }
        let bare = path.strip_suffix(b" (deleted)").unwrap_or(&path).to_vec();
        let huge_page = if m.has("ht") { m.page_size } else { 0 };
        let mut object =
            Object { id, path: path.clone().into(), dev: key.0, ino: m.ino, huge_page, ..Object::default() };
        if let Some((file, meta)) = live {
            object.kind = ObjectKind::FILE;
            describe(&mut object, &meta);
            if let Some(file) = file {
                object.build_id = build_id_of(&file).into();
                if self.refer {
                    object.digest = hash(&file, &path)?;
                }
                self.files.insert(id, file);
            } else if m.offset == 0 {
                // What it says of itself stands at its beginning.
                let mut head = vec![0; (m.end - m.start).min(HEAD) as usize];
                let read = Memory::open(scene.live_tid).and_then(|memory| memory.read(m.start, &mut head));
                object.build_id = read.map(|()| build_id(&head)).unwrap_or_default().into();
            }
        } else {
            object.kind = kind_of(&path);
            if object.kind == ObjectKind::SYSV_SHM {
                let mapped = self.mapped.get(&key).map(Vec::as_slice).unwrap_or_default();
                let attached = mapped.iter().map(|(member, _)| self.processes[*member]).sum();
                sysv::describe(
                    &mut object,
                    scene,
                    m,
                    mapped.iter().map(|(_, window)| window.clone()).collect(),
                    attached,
                )?;
            }
            if object.kind == ObjectKind::SHARED_ANONYMOUS {
                object.path = Vec::new().into();
            } else {
                object.path = bare.strip_prefix(b"/memfd:").map_or(bare.clone(), <[u8]>::to_vec).into();
            }
        }
        self.objects.push(object);
        self.by_inode.insert(key, id);
        Ok(id)
    }

    fn get(&mut self, id: u64) -> Option<&mut Object> {
        self.objects.iter_mut().find(|o| o.id == id)
    }

    fn present(&mut self, scene: &Scene<'_>, start: u64, end: u64) -> Vec<Present> {
        let (guards, present): (Vec<_>, Vec<_>) = scene.present(start, end).partition(|p| p.guard);
        if !guards.is_empty() {
            self.guards.entry(scene.id).or_default().extend(guards);
        }
        present
    }

    /// Content of anonymous memory: the pages that are there. Of what fork(2) wipes (MADV_WIPEONFORK) and the kernel may drop (MAP_DROPPABLE) none: programs and
    /// libraries keep random state there, which must not be the same in two copies, and find zeros as in a new process.
    pub fn anonymous(&mut self, scene: &Scene<'_>, m: &Mapping) {
        let special = cryo_tracee::host::is_special(m);
        let runs = if special {
            vec![own(scene, m.start, m.end)]
        } else if m.has("wf") || m.has("dp") {
            self.present(scene, m.start, m.end);
            Vec::new()
        } else {
            self.present(scene, m.start, m.end).iter().map(|p| own(scene, p.start, p.end)).collect()
        };
        self.content.entry(scene.id).or_default().push(Content { private: None, file: None, runs });
    }

    /// Content of a private file mapping: the process's own pages, and the file's if the image shall hold them or nobody else does.
    pub fn private(&mut self, scene: &Scene<'_>, m: &Mapping, id: u64) -> Result<()> {
        let written: Vec<Present> = self.present(scene, m.start, m.end).into_iter().filter(|p| !p.file).collect();
        let file = self.files.get(&id).and_then(|f| f.try_clone().ok());
        let (size, known) = self.get(id).map_or((0, false), |o| (o.size, o.kind == ObjectKind::FILE));
        let embed = !self.refer || file.is_none();
        let mut runs = Vec::new();
        let mut file_pages = |from: u64, to: u64| {
            // A page wholly behind the end of the file does not exist: touching it is SIGBUS.
            let to = if file.is_some() || known {
                to.min(m.start + size.saturating_sub(m.offset).next_multiple_of(PAGE))
            } else {
                to
            };
            if embed && from < to {
                let from_where = if file.is_some() {
                    PageSource::File(m.offset + (from - m.start))
                } else {
                    PageSource::Memory(scene.member, 0)
                };
                runs.push(Part { start: from, len: to - from, kind: Kind::FILE_DATA, from: from_where });
            }
        };
        let mut at = m.start;
        let mut edges = Vec::new();
        for p in &written {
            file_pages(at, p.start);
            edges.push(own(scene, p.start, p.end));
            at = p.end;
        }
        file_pages(at, m.end);
        runs.extend(edges);
        runs.sort_by_key(|p| p.start);
        let private = Some((id, m.start.wrapping_sub(m.offset) as i64));
        self.content.entry(scene.id).or_default().push(Content { private, file, runs });
        Ok(())
    }

    /// Content of a shared mapping: a file that may be written holds its own; one that is only read is kept like a private one; of memory objects
    /// the pages in `present` are noted, see [`Objects::finish`].
    pub fn shared(
        &mut self,
        scene: &Scene<'_>,
        m: &Mapping,
        id: u64,
        present: Option<&Vec<Present>>,
        out: &mut Collected,
    ) -> Result<()> {
        // The pages are the object's affair, the guards are the mapping's.
        let guards = |all: &Self| all.guards.get(&scene.id).map_or(0, Vec::len);
        let seen = guards(self);
        self.present(scene, m.start, m.end);
        let below = |g: &&Present| present.into_iter().flatten().any(|p| p.start < g.end && g.start < p.end);
        if let Some(guard) = self.guards.get(&scene.id).into_iter().flatten().skip(seen).find(below) {
            return refuse(
                RefusalKind::Memory,
                format!(
                    "memory {:x}-{:x} of process {}: a guard (MADV_GUARD_INSTALL) hides pages of shared memory, which cannot be read",
                    guard.start, guard.end, scene.pid
                ),
            );
        }
        let Some(object) = self.get(id) else { return Ok(()) };
        match object.kind {
            ObjectKind::FILE if m.has("mw") => self.posix_shm(id),
            ObjectKind::FILE => self.private(scene, m, id),
            kind => {
                object.embedded = 1;
                if kind != ObjectKind::SYSV_SHM {
                    shared::check_mapping(scene, m, out)?;
                }
                if object.kind != ObjectKind::SYSV_SHM {
                    object.size = object.size.max(m.offset + (m.end - m.start));
                }
                let shift = m.start.wrapping_sub(m.offset) as i64;
                let offset = |vaddr: u64| vaddr.wrapping_add_signed(-shift);
                self.windows.entry(id).or_default().push(m.offset..m.offset + (m.end - m.start));
                self.shared.extend(present.into_iter().flatten().map(|p| SharedPages {
                    object: id,
                    start: offset(p.start),
                    end: offset(p.end),
                    member: scene.member,
                    shift,
                }));
                Ok(())
            }
        }
    }

    /// Shared memory that is mapped more than once is stored once.
    fn shared_content(&mut self) {
        self.shared.sort_by_key(|p| (p.object, p.start));
        for pages in self.shared.chunk_by(|a, b| a.object == b.object) {
            if self.whole.contains(&pages[0].object) {
                continue;
            }
            let mut runs = Vec::new();
            let mut at = 0;
            for p in pages {
                let start = p.start.max(at);
                if start < p.end {
                    runs.push(Part {
                        start,
                        len: p.end - start,
                        kind: Kind::DATA,
                        from: PageSource::Memory(p.member, p.shift),
                    });
                    at = p.end;
                }
            }
            self.content.entry(pages[0].object).or_default().push(Content { private: None, file: None, runs });
        }
    }

    /// The vDSO: its build-id tells the thawer whether its kernel has the same.
    pub fn vdso(&mut self, scene: &Scene<'_>, m: &Mapping, ids: &mut Ids) -> Result<u64> {
        let mut image = vec![0; (m.end - m.start) as usize];
        Memory::open(scene.live_tid)?.read(m.start, &mut image)?;
        let build_id = build_id(&image);
        let mut objects = self.objects.iter();
        if let Some(same) = objects
            .find(|o| o.kind == ObjectKind::VDSO && o.size == image.len() as u64 && o.build_id.0[..] == build_id[..])
        {
            return Ok(same.id);
        }
        let id = ids.fresh();
        self.objects.push(Object {
            id,
            kind: ObjectKind::VDSO,
            size: m.end - m.start,
            build_id: build_id.into(),
            ..Object::default()
        });
        Ok(id)
    }

    /// Adds the section, and returns what all content is read from, by its owners.
    pub fn finish(mut self, scenes: &[Scene<'_>], out: &mut Collected) -> Result<BTreeMap<u64, Vec<Content>>> {
        for scene in scenes {
            guards::collect(scene.id, self.guards.remove(&scene.id).unwrap_or_default(), out);
        }
        self.shared_content();
        self.shown_content()?;
        if !self.attributes.is_empty() {
            self.attributes.sort_by_key(|i| i.object);
            out.add(0, Attributes { inodes: self.attributes.into() });
        }
        self.objects.sort_by_key(|o| o.id);
        out.add(0, Section { objects: self.objects.into() });
        Ok(self.content)
    }
}

/// Pages of the process's own.
fn own(scene: &Scene<'_>, start: u64, end: u64) -> Part {
    Part { start, len: end - start, kind: Kind::DATA, from: PageSource::Memory(scene.member, 0) }
}

fn describe(object: &mut Object, meta: &Metadata) {
    object.dev = meta.dev();
    object.ino = meta.ino();
    object.mode = meta.mode();
    object.size = meta.len();
    object.mtime_sec = meta.mtime();
    object.mtime_nsec = meta.mtime_nsec() as u64;
}

/// What is under a mapping that no path leads to, by the name that the kernel shows.
fn kind_of(path: &[u8]) -> ObjectKind {
    match path.strip_suffix(b" (deleted)").unwrap_or(path) {
        b"/dev/zero" | b"/anon_hugepage" => ObjectKind::SHARED_ANONYMOUS,
        p if p.starts_with(b"/memfd:") => ObjectKind::MEMFD,
        p if p.starts_with(b"/SYSV") => ObjectKind::SYSV_SHM,
        _ => ObjectKind::DELETED,
    }
}

/// The file at `path`, if it is still the one that is mapped; opened if we may read it, and nobody notices.
fn open_identical(path: &[u8], m: &Mapping, noticed: &Noticed) -> Option<(Option<File>, Metadata)> {
    let path = Path::new(std::ffi::OsStr::from_bytes(path));
    let meta = path.metadata().ok()?;
    if !is_mapped(&meta, m) {
        return None;
    }
    let file = if noticed.is(path, &meta) { None } else { File::open(path).ok() };
    Some((file, meta))
}

/// Is it the file that is mapped?
pub fn is_mapped(meta: &Metadata, m: &Mapping) -> bool {
    // File systems with devices of their own (btrfs, overlayfs: major 0) show another number in maps than stat gives.
    let same_device = meta.dev() == makedev(m) || m.dev.0 == 0;
    meta.ino() == m.ino && same_device && meta.is_file()
}

fn hash(file: &File, path: &[u8]) -> Result<Raw<32>> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file).about(|| format!("reading {}", String::from_utf8_lossy(path)))?;
    Ok(Raw(*hasher.finalize().as_bytes()))
}
