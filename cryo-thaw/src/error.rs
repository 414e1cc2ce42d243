//! Why a thaw did not come about.

use std::io;

pub use cryo_tracee::{Refusal, RefusalKind, Refusals};

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// A thaw that did not come about. No process is left behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Something that cannot be brought back here. The text names the object and the way out.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The same of several descriptors at once.
    #[error(transparent)]
    Several(#[from] Refusals),
    /// The host in our hands.
    #[error(transparent)]
    Tracee(#[from] cryo_tracee::Error),
    /// The image is missing, damaged, or not one.
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

impl Error {
    /// What the refusal is about (of several, the first); none where nothing was refused, but something failed.
    pub fn kind(&self) -> Option<RefusalKind> {
        match self {
            Self::Refused(one) => Some(one.kind),
            Self::Several(several) => several.all.first().map(|one| one.kind),
            Self::Tracee(e) => e.kind(),
            Self::Format(_) => Some(RefusalKind::Image),
            Self::Io { .. } => None,
        }
    }
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

/// What the kernel said, without the call that it said it to.
pub(crate) fn reason(e: &cryo_tracee::Error) -> String {
    e.errno().map_or_else(|| e.to_string(), |errno| io::Error::from_raw_os_error(errno).to_string())
}

/// Says what was being done where a call inside the host failed.
pub(crate) trait Doing<T> {
    fn doing(self, f: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Doing<T> for cryo_tracee::Result<T> {
    fn doing(self, f: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|e| e.during(f()).into())
    }
}

/// A refusal that names its object.
pub(crate) fn refuse<T>(kind: RefusalKind, text: impl Into<String>) -> Result<T> {
    Err(Refusal::new(kind, text).into())
}
