//! POSIX shared memory (shm_overview(7)): files under /dev/shm, which the machine forgets when it restarts, and which a program's end may take away.
//! Their content is in the image. One that is gone is made again, under its name; one that is there is as it is, like any other file.

use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use cryo_format::section::AnySection;
use cryo_format::section::attributes::Attributes;
use cryo_format::section::objects::{Object, ObjectKind, Objects};
use cryo_tracee::FsRights;

use crate::Result;
use crate::error::About;
use crate::ice::Ice;
use crate::notes::Notes;

/// Where they are (shm_open(3)).
const DIR: &[u8] = b"/dev/shm/";

/// Files that were made. Dropping it takes them away.
#[derive(Default)]
pub struct Made {
    files: Vec<(u64, PathBuf, File)>,
}

impl Made {
    /// Each with its object.
    pub fn files(&self) -> impl Iterator<Item = (u64, &File)> {
        self.files.iter().map(|(object, _, file)| (*object, file))
    }

    /// The thaw came about: they stay.
    pub fn keep(mut self) {
        self.files.clear();
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for (_, path, _) in self.files.drain(..) {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Makes those that are gone, with these rights. The image then speaks of the new files: what maps and what opens them finds them to be the right ones.
pub fn make(ice: &mut Ice, rights: &FsRights, notes: &Notes) -> Result<Made> {
    let mut made = Made::default();
    let objects = ice.get::<Objects>(0).map_or(&[][..], |o| &o.objects);
    let gone: Vec<Object> = objects.iter().filter(|o| is(o) && is_gone(o)).cloned().collect();
    if gone.is_empty() {
        return Ok(made);
    }
    let _entered = rights.enter()?;
    for object in gone {
        let path = PathBuf::from(OsStr::from_bytes(&object.path));
        let about = || format!("making {} again", path.display());
        let file = File::options().read(true).write(true).create_new(true).mode(0o600).open(&path);
        let file = file.about(about)?;
        let meta = file.metadata().about(about)?;
        made.files.push((object.id, path.clone(), file));
        let Some((.., file)) = made.files.last() else { continue };
        file.set_len(object.size).about(about)?;
        let inodes = ice.get::<Attributes>(0).map_or(&[][..], |a| &a.inodes);
        if let Some(owner) = inodes.iter().find(|i| i.object == object.id)
            && (owner.uid, owner.gid) != (meta.uid(), meta.gid())
        {
            let given = std::os::unix::fs::fchown(file, Some(owner.uid), Some(owner.gid));
            let lost =
                |e| notes.add(format!("{}: its owner {}:{} cannot be given: {e}", object.path, owner.uid, owner.gid));
            given.unwrap_or_else(lost);
        }
        file.set_permissions(std::fs::Permissions::from_mode(object.mode & 0o7777)).about(about)?;
        let meta = file.metadata().about(about)?;
        speak_of(ice, &object, &meta);
    }
    Ok(made)
}

/// Is it one whose content is in the image?
pub fn is(object: &Object) -> bool {
    object.kind == ObjectKind::FILE
        && object.embedded != 0
        && object.path.strip_prefix(DIR).is_some_and(|name| !name.contains(&b'/'))
}

/// Is there nothing under its name?
pub fn is_gone(object: &Object) -> bool {
    let path = Path::new(OsStr::from_bytes(&object.path));
    path.symlink_metadata().is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound)
}

/// Has the image speak of this inode where it spoke of the one that is gone.
fn speak_of(ice: &mut Ice, was: &Object, now: &Metadata) {
    for entry in ice.frore.sections.iter_mut().chain(&mut ice.frost.sections) {
        match &mut entry.payload {
            AnySection::Objects(o) => {
                let same = o.objects.0.iter_mut().filter(|o| o.id == was.id);
                same.for_each(|o| (o.dev, o.ino) = (now.dev(), now.ino()));
            }
            AnySection::OpenFile(f) if (f.dev, f.ino) == (was.dev, was.ino) && f.path == was.path => {
                (f.dev, f.ino, f.mtime_sec, f.mtime_nsec) =
                    (now.dev(), now.ino(), now.mtime(), now.mtime_nsec() as u64);
            }
            _ => {}
        }
    }
}
