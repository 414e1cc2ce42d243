//! How far a freeze has come, for whoever wants to show it.

use std::fmt;
use std::sync::Arc;

/// Takes the bytes of pages that are read, and how many there are, again and again while they are read: thousands of times a second, so it has to
/// choose when to show them.
///
/// The default forgets them.
#[derive(Clone)]
pub struct Progress(Arc<dyn Fn(u64, u64) + Send + Sync>);

impl Progress {
    /// Gives them to `take`.
    pub fn to(take: impl Fn(u64, u64) + Send + Sync + 'static) -> Self {
        Self(Arc::new(take))
    }

    pub(crate) fn of(&self, total: u64) -> Counter<'_> {
        Counter { progress: self, done: 0, total }
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::to(|_, _| ())
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Progress")
    }
}

/// Counts the bytes of one freeze.
pub(crate) struct Counter<'a> {
    progress: &'a Progress,
    done: u64,
    total: u64,
}

impl Counter<'_> {
    pub(crate) fn add(&mut self, bytes: u64) {
        self.done += bytes;
        // A range that has grown since it was measured is no reason to show more than there is.
        (self.progress.0)(self.done, self.total.max(self.done));
    }
}
