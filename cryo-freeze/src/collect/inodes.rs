//! Where is the file with this inode number? For watches, of which the kernel tells no more.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};

use cryo_tracee::proc;

use super::Scene;

/// Directory entries that are looked at before we give up: the process stands still meanwhile.
const ENTRIES: usize = 100_000;
/// How far above what the process has is looked.
const HEIGHT: usize = 8;

/// A watched file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Inode {
    /// Device as stat(2) gives it.
    pub dev: u64,
    /// Number.
    pub ino: u64,
    /// File handle: type and bytes.
    pub handle: (i32, Vec<u8>),
    /// Would the program hear of it if we read this directory?
    pub heard: bool,
}

impl Inode {
    /// From `ino:2e1 sdev:fe00000 ... fhandle-type:1 f_handle:e102000000000000` of a line of fdinfo.
    pub fn parse(line: &str) -> Option<Self> {
        let value = |key: &str| line.split_whitespace().find_map(|w| w.strip_prefix(key)?.strip_prefix(':'));
        let hex = |key| u64::from_str_radix(value(key)?, 16).ok();
        let bytes = value("f_handle").unwrap_or_default().as_bytes();
        let digit = |c: u8| (c as char).to_digit(16).map(|d| d as u8);
        let handle = bytes.chunks(2).map(|p| Some(digit(p[0])? << 4 | digit(*p.get(1)?)?)).collect::<Option<_>>();
        let kind = i32::from_str_radix(value("fhandle-type").unwrap_or("0"), 16).ok()?;
        let heard = hex("mask")? & (libc::IN_ACCESS | libc::IN_OPEN | libc::IN_CLOSE_NOWRITE) as u64 != 0;
        Some(Self { dev: device(hex("sdev")?), ino: hex("ino")?, handle: (kind, handle?), heard })
    }
}

/// The kernel's own form of a device number, 12 and 20 bits, as stat(2) gives it.
pub fn device(kernel: u64) -> u64 {
    rustix::fs::makedev((kernel >> 20) as u32, kernel as u32 & 0xfffff)
}

/// A mount of the process's.
pub struct Mount {
    /// Mount id, as in fdinfo.
    pub id: u64,
    /// Device number.
    pub dev: u64,
    /// Where.
    pub path: PathBuf,
}

/// /proc/PID/mountinfo.
pub fn mounts(pid: i32) -> Vec<Mount> {
    let text = proc::bytes(pid, "mountinfo").unwrap_or_default();
    let parse = |line: &[u8]| {
        let mut words = line.split(|b| *b == b' ');
        let number = |w: &[u8]| std::str::from_utf8(w).ok().map(str::to_owned);
        let id = number(words.next()?)?.parse().ok()?;
        let dev = number(words.nth(1)?)?;
        let (major, minor) = dev.split_once(':')?;
        let path = words.nth(1)?;
        // Blanks, tabs, line breaks and backslashes stand there in octal.
        let mut plain = Vec::with_capacity(path.len());
        let mut rest = path;
        while let Some((first, tail)) = rest.split_first() {
            let octal = (*first == b'\\').then(|| tail.get(..3)).flatten().and_then(|d| std::str::from_utf8(d).ok());
            if let Some(b) = octal.and_then(|d| u8::from_str_radix(d, 8).ok()) {
                plain.push(b);
                rest = &tail[3..];
            } else {
                plain.push(*first);
                rest = tail;
            }
        }
        let dev = rustix::fs::makedev(major.parse().ok()?, minor.parse().ok()?);
        Some(Mount { id, dev, path: std::ffi::OsString::from_vec(plain).into() })
    };
    text.split(|b| *b == b'\n').filter_map(parse).collect()
}

/// Paths of these files, as far as they are found: by their handles where that is allowed; else what the process has open, mapped or as a directory
/// of its own, what is above that, and what is below.
pub fn find(scene: &Scene<'_>, wanted: &[Inode]) -> HashMap<Inode, Vec<u8>> {
    let mut search = Search { wanted, found: HashMap::new(), left: ENTRIES };
    for mount in mounts(scene.live_tid) {
        if wanted.iter().any(|w| w.heard && w.dev == mount.dev && search.is(w, &mount.path)) {
            continue;
        }
        let Ok(root) = File::open(&mount.path) else { continue };
        for inode in wanted.iter().filter(|w| w.dev == mount.dev) {
            if let Ok(file) = cryo_tracee::fds::open_by_handle(&root, inode.handle.0, &inode.handle.1)
                && let Ok(path) = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))
            {
                search.try_path(&path);
            }
        }
    }
    if search.complete() {
        return search.found;
    }
    let mut known: Vec<PathBuf> = Vec::new();
    let links = proc::descriptors(scene.live_tid).unwrap_or_default().into_iter().map(|fd| format!("fd/{fd}"));
    for link in ["cwd".to_owned(), "exe".to_owned(), "root".to_owned()].into_iter().chain(links) {
        known.extend(fs::read_link(format!("/proc/{}/{link}", scene.live_tid)).ok().filter(|p| p.is_absolute()));
    }
    known.extend(
        scene
            .maps
            .iter()
            .filter(|m| m.path.starts_with(b"/"))
            .map(|m| Path::new(std::ffi::OsStr::from_bytes(&m.path)).to_owned()),
    );
    known.extend(["/tmp", "/etc", "/run", "/var/tmp", "/dev/shm"].map(PathBuf::from));
    for p in known.iter().flat_map(|p| p.ancestors()) {
        search.try_path(p);
    }
    // First what the process works in and has open, then where its code is, then what is above all these. No place uses up the search:
    // beside a program may lie a whole build, and what is watched may be elsewhere.
    let mut seen = HashSet::new();
    for height in 0..HEIGHT {
        for dir in known.iter().filter_map(|p| p.ancestors().nth(height)) {
            if dir.components().count() > 1 && seen.insert(dir) {
                search.below(dir);
            }
        }
    }
    search.found
}

/// Another name of a file whose own is gone, beside that one. (glibc's sem_open makes a semaphore under a name of the moment, links it to its own name
/// and removes the first; editors and package managers do likewise. The kernel goes on showing the first.)
pub fn other_name(gone: &[u8], is: impl Fn(&fs::Metadata) -> bool) -> Option<Vec<u8>> {
    let gone = Path::new(std::ffi::OsStr::from_bytes(gone.strip_suffix(b" (deleted)")?));
    let dir = gone.parent().filter(|dir| dir.is_absolute())?;
    let entries = fs::read_dir(dir).ok()?.flatten().take(ENTRIES);
    let found = entries.map(|e| e.path()).find(|path| path.symlink_metadata().is_ok_and(|m| is(&m)))?;
    Some(found.into_os_string().into_vec())
}

struct Search<'a> {
    wanted: &'a [Inode],
    found: HashMap<Inode, Vec<u8>>,
    left: usize,
}

impl Search<'_> {
    fn complete(&self) -> bool {
        self.found.len() == self.wanted.len()
    }

    /// Is this the file?
    fn is(&self, inode: &Inode, path: &Path) -> bool {
        // File systems with devices of their own (btrfs, overlayfs: major 0) show another number than stat gives.
        let same =
            |m: fs::Metadata| inode.ino == m.ino() && (inode.dev == m.dev() || rustix::fs::major(inode.dev) == 0);
        path.symlink_metadata().is_ok_and(same)
    }

    /// Is it one of them?
    fn try_path(&mut self, path: &Path) {
        let found = self.wanted.iter().find(|w| self.is(w, path)).cloned();
        if let Some(w) = found {
            self.found.entry(w).or_insert_with(|| path.as_os_str().as_bytes().to_vec());
        }
    }

    /// May this directory be read without the program hearing of it, as it does of a directory that it watches, and of what is in one?
    fn silent(&self, dir: &Path) -> bool {
        !self.wanted.iter().filter(|w| w.heard).any(|w| self.is(w, dir) || dir.parent().is_some_and(|p| self.is(w, p)))
    }

    /// Looks through a directory and all below it, near ones first.
    fn below(&mut self, dir: &Path) {
        let mut dirs = std::collections::VecDeque::from([dir.to_owned()]);
        let mut here = ENTRIES / 10;
        while let Some(dir) = dirs.pop_front() {
            if !self.silent(&dir) {
                continue;
            }
            for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
                if self.complete() || self.left == 0 || here == 0 {
                    return;
                }
                self.left -= 1;
                here -= 1;
                if self.wanted.iter().any(|w| w.ino == entry.ino()) {
                    self.try_path(&entry.path());
                }
                if entry.file_type().is_ok_and(|t| t.is_dir()) {
                    dirs.push_back(entry.path());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Inode;

    #[test]
    fn as_the_kernel_writes_it() {
        let line = "wd:1 ino:3c4a7 sdev:fe00000 mask:2 ignored_mask:0 fhandle-bytes:8 fhandle-type:1 f_handle:a7c4030000000000";
        let inode = Inode::parse(line).unwrap();
        assert_eq!((inode.ino, inode.dev, inode.heard), (0x3c4a7, rustix::fs::makedev(0xfe, 0), false));
        assert_eq!(inode.handle, (1, vec![0xa7, 0xc4, 3, 0, 0, 0, 0, 0]));
        // A file system without handles (fs/notify/fdinfo.c show_mark_fhandle) has no more than these.
        let inode = Inode::parse("wd:1 ino:1 sdev:19 mask:20 ignored_mask:0").unwrap();
        assert_eq!((inode.handle, inode.heard), ((0, Vec::new()), true));
    }

    #[test]
    fn not_understood() {
        let digits = "1".repeat(40);
        for line in [
            "",
            "wd:1 ino:1 sdev:19",
            "wd:1 sdev:19 mask:2",
            "wd:1 ino:1 mask:2",
            "ino:1 sdev:19 mask:2 fhandle-type:1 f_handle:a7c",
            "ino:1 sdev:19 mask:2 fhandle-type:1 f_handle:xx",
            &format!("ino:{digits} sdev:19 mask:2"),
        ] {
            assert_eq!(Inode::parse(line), None, "{line}");
        }
    }
}
