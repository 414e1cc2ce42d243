//! Why a freeze did not come about.

use std::io;

use cryo_tracee::proc::Status;
pub use cryo_tracee::{Refusal, RefusalKind, Refusals};

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// A freeze that did not come about. The target goes on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Something that the image cannot carry. The text names the object and the way out.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The same of several descriptors at once.
    #[error(transparent)]
    Several(#[from] Refusals),
    /// The kernel does not let us trace the process.
    #[error("{text}")]
    Untraceable {
        /// What stands in the way.
        why: Untraceable,
        /// The same for people, with the process and the way out.
        text: String,
    },
    /// A SIGTERM came, and was obeyed where nothing was half done.
    #[error("asked to end: nothing was frozen, the program goes on")]
    Asked,
    /// The process in our hands.
    #[error(transparent)]
    Tracee(#[from] cryo_tracee::Error),
    /// The image could not be written.
    #[error(transparent)]
    Format(#[from] cryo_format::Error),
    /// A file of ours.
    #[error("{what}: {error}")]
    Io {
        /// What was tried, with its object.
        what: String,
        /// The kernel's answer.
        error: io::Error,
    },
}

/// What stands in the way of tracing a process (ptrace(2), "Ptrace access mode checking").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Untraceable {
    /// Another process traces it already.
    Traced,
    /// It has ended, and only its exit status is left.
    Ended,
    /// It is a thread of the kernel.
    Kernel,
    /// It is another user's.
    OtherUser,
    /// A seccomp filter or Yama forbids it to us.
    Forbidden,
    /// It is not dumpable, or has rights that we have not.
    Rights,
}

impl Untraceable {
    fn kind(self) -> RefusalKind {
        match self {
            Self::Traced => RefusalKind::Busy,
            Self::Ended => RefusalKind::NoProcess,
            Self::Kernel => RefusalKind::Argument,
            Self::OtherUser | Self::Forbidden | Self::Rights => RefusalKind::Permission,
        }
    }
}

impl Error {
    /// What the refusal is about (of several, the first); none where nothing was refused, but something failed.
    pub fn kind(&self) -> Option<RefusalKind> {
        match self {
            Self::Refused(one) => Some(one.kind),
            Self::Several(several) => several.all.first().map(|one| one.kind),
            Self::Untraceable { why, .. } => Some(why.kind()),
            Self::Tracee(e) => e.kind(),
            Self::Asked | Self::Format(_) | Self::Io { .. } => None,
        }
    }

    /// If one of these processes has ended by now: that, and nothing of what could so not be read.
    pub(crate) fn if_ended(self, pids: impl IntoIterator<Item = i32>) -> Self {
        let ended = |pid: &i32| {
            Status::of(*pid).ok().and_then(|s| Some(s.text("State")?.starts_with(['Z', 'X']))).unwrap_or(true)
        };
        match self {
            Self::Tracee(_) | Self::Io { .. } => match pids.into_iter().find(ended) {
                Some(pid) => {
                    let text = format!("process {pid} has been killed meanwhile: nothing was frozen");
                    Refusal::new(RefusalKind::NoProcess, text).into()
                }
                None => self,
            },
            other => other,
        }
    }

    /// If there was no room for the set, or nobody to read it: where, and that nothing was lost. `object` is what was written.
    pub(crate) fn if_full(self, object: &str) -> Self {
        let (Self::Format(cryo_format::Error::Io { error, .. }) | Self::Io { error, .. }) = &self else { return self };
        match error.raw_os_error() {
            Some(libc::ENOSPC | libc::EDQUOT | libc::EFBIG) => Refusal::new(RefusalKind::Output, format!(
                "{object}: {error}: nothing was frozen, the program goes on: make room there, or use -o NAME elsewhere"
            )).into(),
            Some(libc::EPIPE) => Refusal::new(
                RefusalKind::Output,
                format!("{object}: its reader has gone: nothing was frozen, the program goes on"),
            )
            .into(),
            _ => self,
        }
    }
}

/// Obeys a SIGTERM that has come.
pub(crate) fn not_asked_to_end() -> Result<()> {
    if cryo_tracee::signals::asked_to_end() { Err(Error::Asked) } else { Ok(()) }
}

/// Puts the object's name to an I/O error.
pub(crate) trait About<T> {
    fn about(self, f: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<io::Error>> About<T> for std::result::Result<T, E> {
    fn about(self, f: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|e| Error::Io { what: f(), error: e.into() })
    }
}

/// A refusal that names its object.
pub(crate) fn refuse<T>(kind: RefusalKind, text: impl Into<String>) -> Result<T> {
    Err(Refusal::new(kind, text).into())
}
