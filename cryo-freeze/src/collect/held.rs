//! What is held until the image is written.

use cryo_tracee::ForkedCopy;
use cryo_tracee::repair::Quiet;

use super::objects::Content;
use crate::pages::Run;

/// What is not written itself: where pages are read from, and what has to be undone or ended when they are.
#[derive(Default)]
pub struct Held {
    /// A copy of the process, if the original is to go on while its pages are written.
    pub copy: Option<ForkedCopy>,
    /// What the pages of processes and objects are read from.
    pub content: Vec<Content>,
    /// Connections that go on when the program is thawed.
    pub quiet: Vec<Quiet>,
    /// The name of their keeper's door.
    pub door: Vec<u8>,
    /// Descriptors of TCP connections that end with the process, and leave nothing behind.
    pub abort: Vec<i32>,
}

impl Held {
    /// The runs of pages of all that was collected.
    pub fn runs(&self) -> Vec<Run<'_>> {
        self.content.iter().flat_map(Content::runs).collect()
    }
}
