//! Where a set goes: three files that appear complete or not at all, or one pipe.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use cryo_format::Profile;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, openat, renameat, unlinkat};
use rustix::io::Errno;

use crate::error::{About, not_asked_to_end};
use crate::{Error, Result};

/// The three files of a set that is being written. Dropping it without [`Files::commit`] leaves nothing behind.
pub struct OutputFiles {
    dir: PathBuf,
    /// Paths and files in the order .frore, .frost, .freeze: the one that names the others appears last.
    parts: Vec<Part>,
    force: bool,
}

struct Part {
    path: PathBuf,
    file: File,
    /// Its name until it is complete; a file without a name (O_TMPFILE) has none.
    temporary: Option<PathBuf>,
}

fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

impl OutputFiles {
    /// Makes three empty files beside where NAME.frore, NAME.frost and NAME.freeze will be.
    pub fn create(name: &Path, force: bool) -> Result<Self> {
        let dir = match name.parent() {
            Some(d) if !d.as_os_str().is_empty() => d.to_owned(),
            _ => PathBuf::from("."),
        };
        let mut files = Self { dir, parts: Vec::new(), force };
        for profile in [Profile::Frore, Profile::Frost, Profile::Freeze] {
            let path = suffixed(name, &format!(".{profile}"));
            if !force && path.symlink_metadata().is_ok() {
                return Err(Error::Refused(format!(
                    "{} exists already: use --force to overwrite it, or -o NAME for another name",
                    path.display()
                )));
            }
            let part = files.part(path)?;
            files.parts.push(part);
        }
        Ok(files)
    }

    fn part(&self, path: PathBuf) -> Result<Part> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        match openat(CWD, &self.dir, flags, Mode::RUSR | Mode::WUSR) {
            Ok(fd) => return Ok(Part { path, file: fd.into(), temporary: None }),
            // Not on this file system (NFS, some FUSE).
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOENT) => {}
            Err(e) => return Err(e).about(|| format!("writing into directory {}", self.dir.display())),
        }
        let temporary = suffixed(&path, &format!(".tmp{}", std::process::id()));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)
            .about(|| format!("creating {}", temporary.display()))?;
        Ok(Part { path, file, temporary: Some(temporary) })
    }

    /// The file for `profile`, a second handle.
    pub fn file(&self, profile: Profile) -> Result<File> {
        let i = match profile {
            Profile::Frore => 0,
            Profile::Frost => 1,
            Profile::Freeze => 2,
        };
        self.parts[i].file.try_clone().about(|| format!("duplicating the handle of {}", self.parts[i].path.display()))
    }

    /// Syncs all three and gives them their names. Returns the path of the .freeze.
    pub fn commit(mut self) -> Result<PathBuf> {
        for p in &self.parts {
            p.file.sync_all().about(|| format!("syncing {}", p.path.display()))?;
        }
        not_asked_to_end()?;
        let mut named: Vec<PathBuf> = Vec::new();
        for p in &mut self.parts {
            if let Err(e) = p.appear(self.force) {
                for path in &named {
                    let _ = std::fs::remove_file(path);
                }
                return Err(e);
            }
            named.push(p.path.clone());
        }
        File::open(&self.dir).and_then(|d| d.sync_all()).about(|| format!("syncing {}", self.dir.display()))?;
        named.pop().ok_or_else(|| Error::Refused("nothing was written".into()))
    }
}

impl Part {
    fn appear(&mut self, force: bool) -> Result<()> {
        let path = self.path.clone();
        let what = || format!("giving {} its name", path.display());
        if self.temporary.is_none() {
            let source = format!("/proc/self/fd/{}", self.file.as_raw_fd());
            let target =
                if force { suffixed(&self.path, &format!(".tmp{}", std::process::id())) } else { self.path.clone() };
            linkat(CWD, &source, CWD, &target, AtFlags::SYMLINK_FOLLOW).about(what)?;
            if !force {
                return Ok(());
            }
            self.temporary = Some(target);
        }
        if let Some(temporary) = self.temporary.take() {
            let renamed = if force {
                renameat(CWD, &temporary, CWD, &self.path)
            } else {
                linkat(CWD, &temporary, CWD, &self.path, AtFlags::empty())
                    .and_then(|()| unlinkat(CWD, &temporary, AtFlags::empty()))
            };
            if let Err(e) = renamed {
                self.temporary = Some(temporary);
                return Err(e).about(what);
            }
        }
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if let Some(t) = &self.temporary {
            let _ = std::fs::remove_file(t);
        }
    }
}
