//! What can go wrong with a process in our hands.

use std::io;

use crate::refusal::{Refusal, RefusalKind};

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// An error that names its object.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A system call of ours, or one made inside the process, failed.
    #[error("{what}: {error}")]
    Sys {
        /// What was tried, with its object.
        what: String,
        /// The kernel's answer. (Not called `source`: it stands in the text already, and would be printed twice.)
        error: io::Error,
    },
    /// The process or thread ended under our hands.
    #[error("process {0} has ended")]
    Died(i32),
    /// It did not stop, or a remote call did not return, within [`crate::LIMIT`].
    #[error("thread {tid} did not stop within {seconds} s ({state}): try again when it is out of that state")]
    Stuck {
        /// The thread.
        tid: i32,
        /// The limit.
        seconds: u64,
        /// Its state as /proc shows it.
        state: String,
    },
    /// A text of /proc was not what proc(5) says.
    #[error("{file}: unexpected text: {text}")]
    Proc {
        /// Which file.
        file: String,
        /// What stood there.
        text: String,
    },
    /// The command was asked to end by this signal, and did.
    #[error("ended by {}: nothing was frozen, the program goes on", crate::signals::name(*.0))]
    Asked(i32),
    /// Something that cannot be done as things are.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No place or no instruction in the process's memory for what we need.
    #[error("process {pid}: {what}")]
    NoRoom {
        /// The process.
        pid: i32,
        /// What was looked for.
        what: String,
    },
}

impl Error {
    /// The last error of the C library, about `what`.
    pub fn last(what: impl Into<String>) -> Self {
        Self::sys(what, io::Error::last_os_error())
    }

    /// `source`, about `what`.
    pub fn sys(what: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::Sys { what: what.into(), error: source.into() }
    }

    /// The same error, told as what was being done: a call made inside the process knows no more of that than its name.
    #[must_use]
    pub fn during(self, what: impl Into<String>) -> Self {
        match self {
            Self::Sys { error, .. } => Self::Sys { what: what.into(), error },
            other => other,
        }
    }

    /// The same error, with the object that it is about in front.
    #[must_use]
    pub fn of(self, object: &str) -> Self {
        match self {
            Self::Sys { what, error } if !what.starts_with(object) => {
                Self::Sys { what: format!("{object}: {what}"), error }
            }
            other => other,
        }
    }

    /// What a refusal is about; none where nothing was refused, but something failed.
    pub fn kind(&self) -> Option<RefusalKind> {
        match self {
            Self::Refused(one) => Some(one.kind),
            Self::Died(_) => Some(RefusalKind::NoProcess),
            Self::Stuck { .. } => Some(RefusalKind::Busy),
            Self::NoRoom { .. } => Some(RefusalKind::Memory),
            Self::Sys { .. } | Self::Proc { .. } | Self::Asked(_) => None,
        }
    }

    /// errno, where there is one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Sys { error, .. } => error.raw_os_error(),
            _ => None,
        }
    }
}

/// Refuses, and says what stands in the way.
pub(crate) fn refuse<T>(kind: RefusalKind, text: impl Into<String>) -> Result<T> {
    Err(Refusal::new(kind, text).into())
}

/// Puts the object's name to an I/O error.
pub trait Context<T> {
    /// `f` says what was tried.
    fn about(self, f: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<io::Error>> Context<T> for std::result::Result<T, E> {
    fn about(self, f: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|e| Error::sys(f(), e))
    }
}

/// A file of /proc says `text`, which nobody expects there.
pub(crate) fn unexpected(file: &str, text: impl AsRef<[u8]>) -> Error {
    Error::Proc { file: file.into(), text: String::from_utf8_lossy(text.as_ref()).into_owned() }
}
