//! What can go wrong, as a kind for programs and a text for people.

/// What stands in the way (`cryo_error()`).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CryoError {
    /// Nothing: the last call succeeded.
    #[default]
    None = 0,
    /// Something failed that is none of the others: an input or output error, a command that was not found.
    Failed,
    /// An argument of the call.
    Argument,
    /// It is in the midst of something that ends by itself: the same may succeed a moment later.
    Busy,
    /// The same would succeed with more rights.
    Permission,
    /// There is no such process.
    NoProcess,
    /// The place where the set should go: it is taken, full, or does not take all of it.
    Output,
    /// The set: damaged, not whole, of another version, or not to be trusted.
    Image,
    /// This machine lacks what the program needs.
    Machine,
    /// A descriptor, file, socket or terminal.
    File,
    /// Memory, threads, signals, timers, children, identity: state that cannot be carried.
    State,
}

impl CryoError {
    /// From the name of a kind of refusal in a command's report.
    #[must_use]
    pub fn named(kind: Option<&str>) -> Self {
        match kind {
            None | Some("Internal") => Self::Failed,
            Some("Argument") => Self::Argument,
            Some("Busy") => Self::Busy,
            Some("Permission") => Self::Permission,
            Some("NoProcess") => Self::NoProcess,
            Some("Output") => Self::Output,
            Some("Image" | "Untrusted") => Self::Image,
            Some("Machine" | "Limits" | "Ids" | "Namespace") => Self::Machine,
            Some("Descriptor" | "File" | "Socket" | "Terminal") => Self::File,
            Some(_) => Self::State,
        }
    }

    /// The number of errno(3) that comes nearest.
    #[must_use]
    pub fn errno(self) -> i32 {
        match self {
            Self::None => 0,
            Self::Failed => libc::EIO,
            Self::Argument => libc::EINVAL,
            Self::Busy => libc::EBUSY,
            Self::Permission => libc::EPERM,
            Self::NoProcess => libc::ESRCH,
            Self::Output => libc::EEXIST,
            Self::Image => libc::EBADMSG,
            Self::Machine | Self::File | Self::State => libc::ENOTSUP,
        }
    }
}

/// A call that did not come about.
#[derive(Clone, Debug)]
pub struct Error {
    /// What stood in the way.
    pub kind: CryoError,
    /// The same for people, with the object and the way out.
    pub text: String,
}

impl Error {
    /// An error of this kind.
    pub fn new(kind: CryoError, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }
}

impl From<cryo_tracee::Error> for Error {
    fn from(e: cryo_tracee::Error) -> Self {
        Self::new(CryoError::Failed, e.to_string())
    }
}

impl From<std::io::Error> for Error {
    fn from(e: std::io::Error) -> Self {
        Self::new(CryoError::Failed, e.to_string())
    }
}
