//! What is under the mappings: the original files where they are the right ones, and files without a name that are made.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use cryo_format::section::objects::{Object, ObjectKind};
use cryo_format::section::vmas::{Backing, Vma};
use cryo_tracee::{Host, fds};

use super::mapper::Mapper;
use super::mapping::Source;
use crate::Result;
use crate::error::{RefusalKind, refuse};
use crate::identity::Frozen;
use crate::restore::open;
use crate::same_file::same_file;
use crate::{file_map, unlinked};

/// How all mappings of a file together use it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Private,
    /// Shared, and only read.
    Read,
    /// Shared, and open for writing.
    Written,
}

impl Mapper<'_> {
    /// What a mapping is made of.
    pub(super) fn source(&mut self, host: &mut Host, vma: &Vma) -> Result<Source> {
        let object = match vma.backing {
            Backing::ANONYMOUS | Backing::SPECIAL => return Ok(Source::Nothing),
            _ => self.template.object(vma)?,
        };
        let shared = vma.backing == Backing::SHARED;
        Ok(match object.kind {
            ObjectKind::SHARED_ANONYMOUS if shared => {
                let alone = vma.offset == 0
                    && object.size == vma.end.0 - vma.start.0
                    && self.uses.get(&object.id).is_none_or(|u| u.mappings < 2)
                    && !self.template.common.contains(&object.id)
                    && !self.whole.contains_key(&object.id);
                if alone { Source::Shared } else { Source::Part(object.id) }
            }
            ObjectKind::SYSV_SHM if shared => Source::Part(object.id),
            // A private mapping shows what is written to the file later, but for its own pages.
            _ if unlinked::is(object) && (shared || vma.backing == Backing::PRIVATE_FILE) => {
                Source::Made(self.unlinked(host, object)?)
            }
            _ => match self.file(host, vma)? {
                Some(fd) => Source::File { fd, write: self.access(object) == Access::Written },
                None => Source::Nothing,
            },
        })
    }

    fn access(&self, object: &Object) -> Access {
        match self.uses.get(&object.id) {
            Some(u) if u.written => Access::Written,
            Some(u) if u.shared => Access::Read,
            _ => Access::Private,
        }
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
        let access = self.access(object);
        let opened = match self.open(host, object, access)? {
            Ok(fd) => Some(fd),
            // Pages that are the file's own were left out where its other mappings are.
            Err(why) if self.identical.contains(&object.id) => {
                return refuse(
                    RefusalKind::File,
                    format!("{}: it was mapped, and cannot be mapped once more: {why}", object.path),
                );
            }
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
                    "{} (mapped at {}) is not here as it was frozen (size {}, build-id {}), and its pages are not in the set (--files refer): bring it back, or use {}",
                    object.path,
                    vma.start,
                    object.size,
                    cryo_format::prim::hex(&object.build_id),
                    file_map::advice(&object.path)
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
