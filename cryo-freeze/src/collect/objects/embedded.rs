//! Objects whose content is in the image, because no path leads to them, or will not for ever.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;

use cryo_format::section::extents::Content as Kind;
use cryo_format::section::objects::{Object, ObjectKind};
use cryo_tracee::elf::build_id_of;
use cryo_tracee::hugetlb;

use super::{Objects, describe};
use crate::Result;
use crate::collect::content::{Content, PageSource, Part};
use crate::collect::{Collected, Ids, RefusalKind, Scene, attributes, refuse};
use crate::error::About;
use crate::pages::PAGE;

impl Objects {
    /// The executable's object. One that no path leads to (a package was upgraded while its program ran) comes into the image whole, as far as it may
    /// be read: a program that executes /proc/self/exe must find it there.
    pub fn executable(&mut self, scene: &Scene<'_>, ids: &mut Ids, out: &mut Collected) -> Result<u64> {
        let exe = format!("/proc/{}/exe", scene.live_tid);
        let Ok(meta) = std::fs::metadata(&exe) else { return Ok(0) };
        let path = scene.link("exe")?;
        let mapped = self.by_inode.get(&(meta.dev(), meta.ino())).copied();
        let mapped = mapped
            .or_else(|| self.objects.iter().find(|o| o.ino == meta.ino() && o.path.0 == path).map(|known| known.id));
        let kind = mapped.and_then(|id| self.get(id)).map(|object| object.kind);
        let gone = kind.map_or(path.ends_with(b" (deleted)") && meta.nlink() == 0, |kind| kind != ObjectKind::FILE);
        if gone {
            let bare = path.strip_suffix(b" (deleted)").unwrap_or(&path);
            let (kind, name) = match bare.strip_prefix(b"/memfd:") {
                Some(name) => (ObjectKind::MEMFD, name),
                None => (ObjectKind::DELETED, bare),
            };
            match File::open(&exe) {
                Ok(file) => {
                    let seals = rustix::fs::fcntl_get_seals(&file).map_or(0, |s| s.bits());
                    return self.unlinked(kind, name, &meta, file, seals, ids);
                }
                Err(e) => out.note(
                    format!("executable {}", String::from_utf8_lossy(bare)),
                    format!(
                        "its name is gone, and it cannot be read ({e}): what executes /proc/self/exe will not find it"
                    ),
                ),
            }
        }
        if let Some(id) = mapped {
            return Ok(id);
        }
        let id = ids.fresh();
        let mut object = Object { id, path: path.into(), ..Object::default() };
        describe(&mut object, &meta);
        if let Ok(file) = File::open(&exe) {
            object.build_id = build_id_of(&file).into();
        }
        self.objects.push(object);
        Ok(id)
    }

    /// A file under a descriptor that no path leads to: its content is all there is. If it is mapped, too, that is its content as well.
    #[allow(clippy::too_many_arguments)] // each of them says another thing
    pub fn unlinked(
        &mut self,
        kind: ObjectKind,
        path: &[u8],
        meta: &Metadata,
        file: File,
        seals: u32,
        ids: &mut Ids,
    ) -> Result<u64> {
        let key = (meta.dev(), meta.ino());
        let id = match self.by_inode.get(&key) {
            Some(id) => *id,
            None => {
                let id = ids.fresh();
                self.objects.push(Object { id, ..Object::default() });
                self.by_inode.insert(key, id);
                id
            }
        };
        if !self.whole.insert(id) {
            return Ok(id);
        }
        if let Some(object) = self.get(id) {
            (object.kind, object.embedded, object.path, object.seals) = (kind, 1, path.to_vec().into(), seals);
            object.huge_page = hugetlb::page_size(&file).unwrap_or(0);
            describe(object, meta);
        }
        self.attributes.push(attributes::of(id, &file, meta));
        let runs =
            written(&file, meta.len()).about(|| format!("looking for holes in {}", String::from_utf8_lossy(path)))?;
        self.content.entry(id).or_default().push(Content { private: None, file: Some(file), runs });
        Ok(id)
    }

    /// POSIX shared memory (shm_open(3), sem_open(3)) is a file that the machine forgets when it restarts: its content is in the image, for a thaw
    /// where it is gone.
    pub(super) fn posix_shm(&mut self, id: u64) -> Result<()> {
        let file = self.files.get(&id).and_then(|f| f.try_clone().ok());
        let Some(object) = self.objects.iter_mut().find(|o| o.id == id) else { return Ok(()) };
        let (Some(file), true, 0) = (file, object.path.starts_with(b"/dev/shm/"), object.embedded) else {
            return Ok(());
        };
        object.embedded = 1;
        let about = || format!("reading {}", object.path);
        let meta = file.metadata().about(about)?;
        let runs = written(&file, meta.len()).about(about)?;
        self.attributes.push(attributes::of(id, &file, &meta));
        self.content.entry(id).or_default().push(Content { private: None, file: Some(file), runs });
        Ok(())
    }

    /// A private mapping of an object whose content is in the image shows that content, and what is written to it later: only pages of the process's
    /// own are stored for it.
    pub(super) fn shown_content(&mut self) -> Result<()> {
        for content in self.content.values_mut().flatten() {
            let Some((object, shift)) = content.private else { continue };
            if self.whole.contains(&object) {
                content.runs.retain(|part| part.kind != Kind::FILE_DATA);
                continue;
            }
            let huge = |o: &&Object| o.id == object && o.huge_page != 0 && o.kind != ObjectKind::FILE;
            if let Some(o) = self.objects.iter().find(huge) {
                return refuse(
                    RefusalKind::Memory,
                    format!(
                        "{} is a file without a name, of huge TLB pages, that is mapped privately: it is carried where the program has a descriptor \
                         of it, too",
                        o.path
                    ),
                );
            }
            let windows = self.windows.get(&object).map_or(&[][..], Vec::as_slice);
            if !windows.is_empty() {
                // How long it is nobody tells whose path is gone and that has no descriptor: as long as its mappings.
                let end = content.runs.iter().map(|p| p.start + p.len).max().unwrap_or(0).wrapping_add_signed(-shift);
                self.objects.iter_mut().filter(|o| o.id == object).for_each(|o| o.size = o.size.max(end));
            }
            for window in windows {
                let vaddr = |offset: u64| offset.wrapping_add_signed(shift);
                let shown = vaddr(window.start)..vaddr(window.end);
                let of_file = |p: &Part| p.kind == Kind::FILE_DATA && matches!(p.from, PageSource::Memory(..));
                let left = |p: Part| if of_file(&p) { p.without(&shown) } else { vec![p] };
                content.runs = std::mem::take(&mut content.runs).into_iter().flat_map(left).collect();
            }
        }
        Ok(())
    }
}

/// The parts of a file that are no holes, as whole pages.
fn written(file: &File, size: u64) -> std::io::Result<Vec<Part>> {
    use rustix::fs::{SeekFrom, seek};
    let mut runs: Vec<Part> = Vec::new();
    let mut at = 0;
    while at < size {
        let start = match seek(file, SeekFrom::Data(at)) {
            Ok(start) => start / PAGE * PAGE,
            Err(rustix::io::Errno::NXIO) => break,
            // A file system without holes.
            Err(rustix::io::Errno::INVAL) => 0,
            Err(e) => return Err(e.into()),
        };
        let end = seek(file, SeekFrom::Hole(start)).unwrap_or(size).max(start + 1).next_multiple_of(PAGE);
        let start = start.max(at);
        runs.push(Part { start, len: end - start, kind: Kind::DATA, from: PageSource::File(start) });
        at = end;
    }
    Ok(runs)
}
