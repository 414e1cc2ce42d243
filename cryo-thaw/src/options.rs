//! What the person who thaws may choose.

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use cryo_format::section::outside::FdRule;
use cryo_tracee::tracees::Filter;

use crate::notes::Notes;

/// Which process id the thawed process gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pid {
    /// The same: here where it is free and allowed, else in a pid namespace of its own, else a new one.
    #[default]
    Auto,
    /// The same, or nothing.
    Same,
    /// The same, in a pid namespace of its own.
    Namespace,
    /// A new one.
    New,
}

/// Whether time in the ice counts for timers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Time {
    /// It does not.
    #[default]
    Ice,
    /// It does: what came due meanwhile is due now.
    Real,
}

/// How a host is given the shape of the template.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Road {
    /// By the kernel's module where it is loaded, else by system calls.
    #[default]
    Auto,
    /// By system calls made inside of it.
    Inject,
    /// By the kernel's module, /dev/overseer (overseer-kmod), or not at all.
    Overseer,
}

/// Where a file is now: `OLD=NEW`, for OLD itself and all below it.
#[derive(Clone, Debug)]
pub struct FileMap {
    /// The path in the image.
    pub old: PathBuf,
    /// The path here.
    pub new: PathBuf,
    /// Was it of use? Shared by all copies.
    used: Arc<AtomicBool>,
}

impl PartialEq for FileMap {
    fn eq(&self, other: &Self) -> bool {
        (&self.old, &self.new) == (&other.old, &other.new)
    }
}

impl FromStr for FileMap {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let whole = |path: &str| std::path::absolute(path).map_err(|e| format!("{path:?}: {e}"));
        match text.split_once('=') {
            Some((old, new)) => Ok(Self { old: whole(old)?, new: whole(new)?, used: Arc::default() }),
            None => Err(format!("{text:?} is not of the form OLD=NEW")),
        }
    }
}

impl Options {
    /// Where the person says that the file of this path is now, if they say anything. The longest OLD decides.
    pub fn mapped(&self, path: &[u8]) -> Option<Vec<u8>> {
        let path = Path::new(OsStr::from_bytes(path));
        let maps = self.file_map.iter().filter_map(|m| Some((m, path.strip_prefix(&m.old).ok()?)));
        let (map, rest) = maps.min_by_key(|(_, rest)| rest.as_os_str().len())?;
        map.used.store(true, Relaxed);
        let new = if rest.as_os_str().is_empty() { map.new.clone() } else { map.new.join(rest) };
        Some(new.into_os_string().into_vec())
    }
}

impl FileMap {
    /// Has a path of the image been at OLD, or below?
    pub fn was_used(&self) -> bool {
        self.used.load(Relaxed)
    }
}

/// What becomes of TCP connections that were frozen with `--tcp keep`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tcp {
    /// They go on.
    #[default]
    Keep,
    /// The program finds them reset.
    Close,
}

/// Choices of one thaw.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Takes what is to be told.
    pub notes: Notes,
    /// Process id.
    pub pid: Pid,
    /// How hosts are shaped.
    pub remap: Road,
    /// TCP connections to other processes.
    pub tcp: Tcp,
    /// Descriptors to be replaced.
    pub fds: Vec<FdRule>,
    /// Files that are elsewhere now.
    pub file_map: Vec<FileMap>,
    /// Leave it stopped by SIGSTOP, each process of a family.
    pub stopped: bool,
    /// Give it a session of its own, so that it does not depend on the terminal.
    pub detach: bool,
    /// Time in the ice.
    pub time: Time,
    /// Our ids, groups and capabilities in place of the frozen ones.
    pub own_credentials: bool,
    /// Lower resource limits where those of the image are not allowed here.
    pub lower_limits: bool,
    /// Do not compare roots and digests: the set has been verified. (Checksums always are.)
    pub no_verify: bool,
    /// As root: a set that is not root's.
    pub trust: bool,
    /// Go on although this CPU lacks instructions that the program may have chosen at its start.
    pub ignore_cpu: bool,
    /// It runs before all of its memory is there, and a process of ours fills behind it; who hears of it if that fails.
    pub lazy: Option<fn(&str)>,
    /// With `lazy`: write into this .freeze in which order it touches its memory.
    pub learn: Option<PathBuf>,
    /// It goes on watched: under this filter, traced by us, and as a child of our parent.
    pub watch: Option<Filter>,
}
