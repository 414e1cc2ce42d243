//! What a thaw has to tell besides its result: what is other than it was, and is not worth refusing.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Takes each note when it comes about, as one line without an end. It may quote the image, and so anything at all: who shows it to people escapes
/// it ([`cryo_format::text::message`]). In a namespace of its own the thaw is done by another process, and so is this call.
///
/// The default forgets them.
#[derive(Clone)]
pub struct Notes(Arc<dyn Fn(&str) + Send + Sync>);

impl Notes {
    /// Gives them to `take`.
    pub fn to(take: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(take))
    }

    /// One more.
    pub fn add(&self, note: impl AsRef<str>) {
        (self.0)(note.as_ref());
    }
}

/// Notes that are kept until it is certain that the program goes on: they are true only then.
#[derive(Default)]
pub struct Kept(Mutex<Vec<String>>);

impl Kept {
    /// None yet.
    pub const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// One more.
    pub fn add(&self, note: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(note.to_owned());
    }

    /// All of them; none are left.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Default for Notes {
    fn default() -> Self {
        Self::to(|_| ())
    }
}

impl fmt::Debug for Notes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Notes")
    }
}
