//! Where a set goes: three files that appear complete or not at all, or one pipe.
//!
//! Three names cannot change at once. So one of them decides, the .freeze, which holds the roots of the other two: these are put beside it first
//! (NAME.frore.next, NAME.frost.next), the .freeze takes its name, and then they take theirs. Whoever reads in between, or after a
//! freezer was killed there, finds the files that belong to the .freeze that is there ([`set::locate`]): the old set or the new one.

use std::fs::{File, FileType, OpenOptions};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use cryo_format::{Profile, set};
use cryo_tracee::{fault, sockets};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{
    AtFlags, CWD, FlockOperation, Mode, OFlags, RenameFlags, fcntl_getfl, flock, linkat, makedev, openat,
    renameat_with, unlinkat,
};
use rustix::io::{Errno, ioctl_fionread};
use rustix::termios::isatty;

use crate::Result;
use crate::error::{About, RefusalKind, not_asked_to_end, refuse};

/// The three files of a set that is being written. Dropping it without [`OutputFiles::commit`] leaves nothing behind.
pub struct OutputFiles {
    dir: PathBuf,
    /// In the order .frore, .frost, .freeze.
    parts: [Part; 3],
    force: bool,
}

struct Part {
    path: PathBuf,
    file: File,
    /// Does it stand under its [`set::next`] name? A file without a name (O_TMPFILE) does not yet.
    named: bool,
}

/// The name of a set from what a person calls it: NAME, one of its three files, or a directory (`DIR/`, `.`), in which it is called `usual`.
pub fn name(given: &Path, usual: &str) -> PathBuf {
    if given.as_os_str().as_bytes().ends_with(b"/") || given.file_name().is_none() {
        return given.join(usual);
    }
    match given.extension() {
        Some(x) if Profile::ALL.iter().any(|p| x == p.extension()) => given.with_extension(""),
        _ => given.to_owned(),
    }
}

fn directory(name: &Path) -> PathBuf {
    match name.parent() {
        Some(d) if !d.as_os_str().is_empty() => d.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn paths(name: &Path) -> [PathBuf; 3] {
    [Profile::Frore, Profile::Frost, Profile::Freeze].map(|profile| {
        let mut path = name.as_os_str().to_owned();
        path.push(format!(".{profile}"));
        path.into()
    })
}

/// Brings to an end what a freezer that was killed has begun at this name: what belongs to the .freeze that is there takes its own name, and what does not
/// is taken away. An error if a freezer is still at it.
pub fn recover(name: &Path) -> Result<()> {
    let all = paths(name);
    for path in &all {
        let next = set::next(path);
        let Ok(file) = File::open(&next) else { continue };
        // Who writes holds a lock for as long as it lives.
        if flock(&file, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK) {
            return refuse(
                RefusalKind::Output,
                format!(
                    "{}: another cryo-freeze is writing this set: wait for it, or use -o NAME for another name",
                    path.display()
                ),
            );
        }
        let ours = set::belongs(&all[2], &next);
        let done = if ours { std::fs::rename(&next, path) } else { std::fs::remove_file(&next) };
        done.about(|| format!("tidying up {}", next.display()))?;
    }
    Ok(())
}

impl OutputFiles {
    /// Makes three empty files beside where NAME.frore, NAME.frost and NAME.freeze will be.
    pub fn create(name: &Path, force: bool) -> Result<Self> {
        let special = |kind: FileType| kind.is_char_device() || kind.is_block_device() || kind.is_fifo();
        if name.metadata().is_ok_and(|meta| special(meta.file_type())) {
            let shown = name.display();
            return refuse(
                RefusalKind::Output,
                format!(
                    "{shown} is a device or a pipe: use -o NAME for three files, or -o - >{shown} for the set in one"
                ),
            );
        }
        recover(name)?;
        let dir = directory(name);
        let paths = paths(name);
        if let Some(path) = paths.iter().find(|path| !force && path.symlink_metadata().is_ok()) {
            return refuse(
                RefusalKind::Output,
                format!("{} exists already: use --force to overwrite it, or -o NAME for another name", path.display()),
            );
        }
        let [frore, frost, freeze] = paths;
        let part = |path| Part::create(&dir, path);
        let parts = [part(frore)?, part(frost)?, part(freeze)?];
        Ok(Self { dir, parts, force })
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
        let replaces = self.parts[2].path.symlink_metadata().is_ok();
        for p in &mut self.parts {
            p.appear()?;
        }
        // What was there is lost by the next step: then the new files must be on the disk under a name.
        if replaces {
            self.sync_names()?;
        }
        let how = if self.force { RenameFlags::empty() } else { RenameFlags::NOREPLACE };
        step()?;
        self.parts[2].take_name(how)?;
        // From here on the new set is the one that is there, whatever happens.
        if replaces {
            fault::moment();
            sync(&self.dir)?;
        }
        for i in [0, 1] {
            fault::moment();
            if let Err(e) = self.parts[i].take_name(how) {
                // Where nothing was before, nothing shall be.
                if !self.force {
                    for path in self.parts.iter().filter(|p| !p.named).map(|p| &p.path) {
                        let _ = std::fs::remove_file(path);
                    }
                }
                return Err(e);
            }
        }
        fault::moment();
        sync(&self.dir)?;
        Ok(self.parts[2].path.clone())
    }

    fn sync_names(&self) -> Result<()> {
        step()?;
        sync(&self.dir)
    }
}

/// Makes names that were changed in a directory safe.
fn sync(dir: &Path) -> Result<()> {
    File::open(dir).and_then(|d| d.sync_all()).about(|| format!("syncing {}", dir.display()))
}

/// A place at which a test may have us fail, or be killed.
fn step() -> Result<()> {
    fault::point().about(|| "writing the set".into())
}

impl Part {
    fn create(dir: &Path, path: PathBuf) -> Result<Self> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let part = match openat(CWD, dir, flags, Mode::RUSR | Mode::WUSR) {
            Ok(fd) => Self { path, file: fd.into(), named: false },
            // Not on this file system (NFS, some FUSE).
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOENT) => {
                let next = set::next(&path);
                let mut options = OpenOptions::new();
                options.read(true).write(true).create_new(true).mode(0o600);
                let file = match options.open(&next) {
                    Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                        return refuse(
                            RefusalKind::Output,
                            format!(
                                "{}: there is no directory {}: make it first, or use -o NAME",
                                path.display(),
                                dir.display()
                            ),
                        );
                    }
                    other => other.about(|| format!("creating {}", next.display()))?,
                };
                Self { path, file, named: true }
            }
            Err(e @ (Errno::ACCESS | Errno::PERM | Errno::ROFS)) => {
                let text =
                    format!("{}: nothing can be written there ({e}): use -o NAME for another place", dir.display());
                return refuse(RefusalKind::Output, text);
            }
            Err(e) => return Err(e).about(|| format!("writing into directory {}", dir.display())),
        };
        // See `recover`. Where there are no locks, two who write one set at once are not told apart.
        let _ = flock(&part.file, FlockOperation::NonBlockingLockExclusive);
        Ok(part)
    }

    /// Puts it beside the place where it will be.
    fn appear(&mut self) -> Result<()> {
        if !self.named {
            step()?;
            let source = format!("/proc/self/fd/{}", self.file.as_raw_fd());
            let next = set::next(&self.path);
            linkat(CWD, &source, CWD, &next, AtFlags::SYMLINK_FOLLOW)
                .about(|| format!("creating {}", next.display()))?;
            self.named = true;
        }
        Ok(())
    }

    fn take_name(&mut self, how: RenameFlags) -> Result<()> {
        let next = set::next(&self.path);
        let renamed = match renameat_with(CWD, &next, CWD, &self.path, how) {
            // Not on this file system.
            Err(Errno::INVAL) if !how.is_empty() => linkat(CWD, &next, CWD, &self.path, AtFlags::empty())
                .and_then(|()| unlinkat(CWD, &next, AtFlags::empty())),
            other => other,
        };
        renamed.about(|| format!("giving {} its name", self.path.display()))?;
        self.named = false;
        Ok(())
    }
}

impl Drop for OutputFiles {
    fn drop(&mut self) {
        // A .frore or .frost that could not take its name after the .freeze has is of the set: it stays, and is found where it is.
        for p in self.parts.iter().filter(|p| p.named && !set::belongs(&self.parts[2].path, &set::next(&p.path))) {
            let _ = std::fs::remove_file(set::next(&p.path));
        }
    }
}

/// Before anything is touched: can a set go down standard output and be kept? `leaves` says whether the program lives on whatever becomes of it.
pub fn check_stdout() -> Result<()> {
    let out = std::io::stdout();
    let refuse = |why: &str| {
        refuse(
            RefusalKind::Output,
            format!("standard output {why}: send the set into a file or a pipe, or use -o NAME for three files"),
        )
    };
    if isatty(&out) {
        return refuse("is a terminal, and a set is no text");
    }
    let flags = fcntl_getfl(&out).about(|| "looking at standard output".into())?;
    if flags & OFlags::RWMODE == OFlags::RDONLY {
        return refuse("is not open for writing");
    }
    // One that was closed is /dev/null by now: Rust's runtime sees to it that there is something at 0, 1 and 2.
    if std::fs::metadata("/proc/self/fd/1").is_ok_and(|m| m.file_type().is_char_device() && m.rdev() == makedev(1, 3)) {
        return refuse("is closed, or /dev/null");
    }
    let mut end = [PollFd::new(&out, PollFlags::empty())];
    if poll(&mut end, Some(&Timespec::default())).is_ok_and(|n| n > 0) && end[0].revents().contains(PollFlags::ERR) {
        return refuse("is a pipe that nobody reads");
    }
    Ok(())
}

/// Waits until whoever reads has taken all that was written. An error if they end before.
///
/// A pipe: nothing is left in it. A unix socket: the peer has read all. TCP: the peer's machine has all, more cannot be known here. A file: it is on the
/// disk. There is no limit of time but the reader's life.
pub fn taken(out: &File) -> Result<()> {
    let kind = out.metadata().about(|| "looking at standard output".into())?.file_type();
    if !kind.is_fifo() && !kind.is_socket() {
        return match out.sync_all() {
            // Not a file that is on a disk.
            Err(e) if e.raw_os_error() == Some(libc::EINVAL) => Ok(()),
            other => other.about(|| "syncing standard output".into()),
        };
    }
    let handle = OwnedFd::from(out.try_clone().about(|| "duplicating standard output".into())?);
    let left = || -> Result<u64> {
        if kind.is_fifo() {
            ioctl_fionread(out).about(|| "asking what is left in the pipe".into())
        } else {
            Ok(sockets::unsent(&handle)? as u64)
        }
    };
    let mut pause = Duration::from_micros(100);
    loop {
        // The end of the reader is asked for first: what it has read by then it read before.
        let mut end = [PollFd::new(out, PollFlags::empty())];
        let wait = Timespec { tv_sec: 0, tv_nsec: pause.as_nanos() as i64 };
        let ended = match poll(&mut end, Some(&wait)) {
            Ok(n) => n > 0 && end[0].revents().intersects(PollFlags::ERR | PollFlags::HUP),
            Err(Errno::INTR) => false,
            Err(e) => return Err(e).about(|| "waiting for the reader of the set".into()),
        };
        let rest = left()?;
        if kind.is_socket() && ended {
            // A peer that closes with bytes unread resets the connection.
            match sockets::number(&handle, libc::SOL_SOCKET as u32, libc::SO_ERROR as u32)? {
                0 => {}
                e => return Err(Errno::from_raw_os_error(e as i32)).about(|| "sending the set".into()),
            }
        }
        not_asked_to_end()?;
        match rest {
            0 => return Ok(()),
            _ if ended => {
                return refuse(
                    RefusalKind::Output,
                    format!("the reader of the set has ended without reading all of it ({rest} bytes were left)"),
                );
            }
            _ => pause = (pause * 2).min(Duration::from_millis(50)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::name;
    use std::path::Path;

    #[test]
    fn a_set_is_called_in_several_ways() {
        for (given, wanted) in [
            ("x", "x"),
            ("x.freeze", "x"),
            ("d/x.frost", "d/x"),
            ("d/", "d/42"),
            (".", "./42"),
            ("..", "../42"),
            ("x.y", "x.y"),
        ] {
            assert_eq!(name(Path::new(given), "42"), Path::new(wanted), "{given}");
        }
    }
}
