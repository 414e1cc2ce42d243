//! What is held until the image is written.

use cryo_tracee::repair::Quiet;
use cryo_tracee::{ForkedCopy, Memory};

use super::objects::Content;
use crate::pages::Run;

/// What is not written itself: where pages are read from, and what has to be undone or ended when they are.
#[derive(Default)]
pub struct Held {
    /// A copy of each process, if the original is to go on while its pages are written; in the order of the members, as far as they are there.
    pub copies: Vec<Option<ForkedCopy>>,
    /// What the pages of processes and objects are read from.
    pub content: Vec<Content>,
    /// Connections that go on when the program is thawed.
    pub quiet: Vec<Quiet>,
    /// The name of their keeper's door.
    pub door: Vec<u8>,
    /// Descriptors of TCP connections that end with the processes, and leave nothing behind: the member's place, the number.
    pub abort: Vec<(usize, i32)>,
}

impl Held {
    /// The runs of pages of all that was collected; `memories` are the members'.
    pub fn runs<'a>(&'a self, memories: &[&'a Memory]) -> Vec<Run<'a>> {
        self.content.iter().flat_map(|content| content.runs(memories)).collect()
    }

    /// The memories of the copies, if there is one of each member and nothing else is read.
    pub fn copied(&self, members: &[u64]) -> Option<Vec<&Memory>> {
        let copies: Vec<&Memory> = self.copies.iter().flatten().map(|copy| &copy.memory).collect();
        let enough = self.content.iter().all(|content| members.contains(&content.owner));
        (enough && copies.len() == members.len()).then_some(copies)
    }
}
