//! What every collector may look at.

use std::sync::Arc;

use cryo_tracee::Arch;
use cryo_tracee::proc::{self, Mapping, Present, Stat, Status};

use super::facts::Facts;
use super::machine::{self, Machine};
use super::witness::Witness;
use crate::Result;
use crate::options::Options;

/// Local ids: one numbering for processes, threads, objects and descriptions.
#[derive(Default)]
pub struct Ids(u64);

impl Ids {
    /// The next one; the first is 1.
    pub fn fresh(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }
}

/// What every collector may look at: one process, of one that is frozen alone or of a family.
pub struct Scene<'a> {
    /// Its machine, in the sense of ELF (what else is called so here is the computer).
    pub arch: Arch,
    /// Its place among those that are frozen; the first is the one that was asked for.
    pub member: usize,
    /// How many there are.
    pub members: usize,
    /// The process's pid.
    pub pid: i32,
    /// By whose id /proc, kcmp(2) and the like are asked, see [`live_tid`](cryo_tracee::Process::live_tid).
    pub live_tid: i32,
    /// Its local id.
    pub id: u64,
    /// Those of its threads.
    pub thread_ids: Vec<u64>,
    /// /proc/PID/stat.
    pub stat: Stat,
    /// /proc/PID/status.
    pub status: Status,
    /// The same of each of its threads.
    pub threads: Vec<Status>,
    /// Its mappings, without the vsyscall page, which every process has and none can change.
    pub maps: Vec<Mapping>,
    /// Its pages, and guards, in all of them but special ones.
    pub pages: Vec<Present>,
    /// Its namespaces, in the order of `NAMESPACES`.
    pub namespaces: Vec<Vec<u8>>,
    /// What else /proc says of it.
    pub facts: Facts,
    /// A thread of ours like it, see `Witness`.
    pub witness: Option<Arc<Witness>>,
    /// See `super::keyrings::may_be_joined`.
    pub may_have_joined_keyring: bool,
    /// What was known before the process stood still.
    pub machine: &'a Machine,
    /// The person's choices.
    pub options: &'a Options,
}

impl Scene<'_> {
    /// /proc/PID/task/TID/status of the thread at this place.
    pub fn thread(&self, i: usize) -> Result<&Status> {
        Ok(self.threads.get(i).ok_or(cryo_tracee::Error::Died(self.pid))?)
    }

    /// A file below /proc/PID, as it was read beforehand or as it is now.
    pub fn file(&self, name: &str) -> cryo_tracee::Result<Vec<u8>> {
        self.facts.file(name).map_or_else(|| proc::bytes(self.live_tid, name), |bytes| Ok(bytes.clone()))
    }

    /// The same of a link.
    pub fn link(&self, name: &str) -> cryo_tracee::Result<Vec<u8>> {
        self.facts.link(name).map_or_else(|| proc::link(self.live_tid, name), |path| Ok(path.clone()))
    }

    /// Its auxiliary vector.
    pub fn auxv(&self) -> cryo_tracee::Result<Vec<u64>> {
        self.file("auxv").map(|bytes| self.arch.words(&bytes))
    }

    /// Its pages, and guards, of this range.
    pub fn present(&self, start: u64, end: u64) -> impl Iterator<Item = Present> {
        let from = self.pages.partition_point(|p| p.end <= start);
        let of_range = self.pages[from..].iter().take_while(move |p| p.start < end);
        of_range.map(move |p| Present { start: p.start.max(start), end: p.end.min(end), ..*p })
    }

    /// What the link to its namespace of this kind says.
    pub fn namespace(&self, kind: &str) -> Option<&Vec<u8>> {
        self.namespaces.get(machine::index(kind)?)
    }

    /// Who it is, for messages: `process 311`, in a family `process 311 (cat)`.
    pub fn name(&self) -> String {
        if self.members > 1 {
            format!("process {} ({})", self.pid, self.comm())
        } else {
            format!("process {}", self.pid)
        }
    }

    /// Its name, for messages.
    pub fn comm(&self) -> String {
        String::from_utf8_lossy(&self.status.name()).into_owned()
    }
}
