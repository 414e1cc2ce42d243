//! What is held until the image is written.

use std::collections::BTreeMap;

use cryo_tracee::ForkedCopy;
use cryo_tracee::repair::Quiet;

use super::Collected;
use super::content::Content;
use super::forked::Forked;
use crate::Result;
use crate::live::{Live, Still};
use crate::pages::Run;

/// What is not written itself: where pages are read from, and what has to be undone or ended when they are.
#[derive(Default)]
pub struct Held {
    /// A copy of each process, if the original is to go on while its pages are written; in the order of the members, as far as they are there.
    pub copies: Vec<Option<ForkedCopy>>,
    /// Their pages, if these were copied while they ran.
    pub live: Option<Live>,
    /// What is missing of these is copied sooner than a process is: nobody forks.
    pub no_copies: bool,
    /// Connections that go on when the program is thawed.
    pub quiet: Vec<Quiet>,
    /// The name of their keeper's door.
    pub door: Vec<u8>,
    /// Descriptors of TCP connections that end with the processes, and leave nothing behind: whose they are (the id of a process or thread), the number.
    pub abort: Vec<(i32, i32)>,
}

/// A process that is frozen.
pub struct Member {
    /// Its local id.
    pub id: u64,
    /// Its pid.
    pub pid: i32,
    /// Its name.
    pub comm: String,
}

/// The pages of what is frozen.
pub struct Contents {
    /// Whose they are, each process behind its parent.
    pub members: Vec<Member>,
    /// What the pages of processes and objects are read from, by their local ids. The processes come first.
    pub all: BTreeMap<u64, Vec<Content>>,
    /// Members that may share pages with their parents.
    pub forked: Vec<Forked>,
}

impl Contents {
    /// The memories of the copies, if there is one of each member and nothing else is read: shared memory and deleted files the originals can still
    /// change.
    pub fn copied<'h>(&self, held: &'h Held) -> Option<Vec<Still<'h>>> {
        let copies: Vec<Still<'_>> = held.copies.iter().flatten().map(|copy| Still::Process(&copy.memory)).collect();
        let last = self.members.last().map_or(0, |member| member.id);
        let of_objects = self.all.keys().any(|owner| *owner > last);
        (!of_objects && copies.len() == self.members.len()).then_some(copies)
    }

    /// Leaves out what members share with their parents; `memories` are the members'. The last comes first: its parent still has all pages then.
    pub fn fork(&mut self, memories: &[Still<'_>], out: &mut Collected) -> Result<()> {
        self.forked.drain(..).rev().try_for_each(|forked| forked.collect(memories, &mut self.all, out))
    }

    /// The runs of all pages.
    pub fn runs<'a>(&'a self, memories: &[Still<'a>]) -> Vec<Run<'a>> {
        let contents = self.all.iter().flat_map(|(owner, all)| all.iter().map(move |content| (*owner, content)));
        contents.flat_map(|(owner, content)| content.runs(owner, memories)).collect()
    }
}
