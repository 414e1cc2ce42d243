//! Who is in the image: processes, and their threads.

use std::collections::BTreeMap;

use cryo_format::section::process::Process;
use cryo_format::section::thread::Thread;
use cryo_format::section::{AnySection, Scope};

use crate::ice::{Entry, Ice};

/// Everybody, by local ids.
pub struct People {
    /// Processes with their threads.
    pub processes: BTreeMap<u64, Vec<u64>>,
    /// Threads of which nobody says whose they are.
    pub strangers: Vec<u64>,
}

impl People {
    /// Their local ids, each with the process that it is of.
    pub fn owners(&self) -> BTreeMap<u64, Option<u64>> {
        let all = self.processes.iter().flat_map(|(process, threads)| {
            std::iter::once(process).chain(threads).map(|owner| (*owner, Some(*process)))
        });
        all.chain(self.strangers.iter().map(|owner| (*owner, None))).collect()
    }

    /// Those of an image.
    pub fn of(ice: &Ice) -> Self {
        let mut processes: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        let mut strangers = Vec::new();
        for owner in ice.owners() {
            if let Some(thread) = ice.get::<Thread>(owner) {
                processes.entry(thread.process).or_default().push(owner);
            } else if ice.of(owner).any(|e| scope(e) == Some(Scope::Process)) {
                processes.entry(owner).or_default();
            } else if ice.of(owner).any(|e| scope(e) == Some(Scope::Thread)) {
                strangers.push(owner);
            }
        }
        Self { processes, strangers }
    }

    /// Those whose process id is one of `pids` (all if there are none), and of their threads those whose id is one of `tids`.
    pub fn chosen(ice: &Ice, pids: &[u64], tids: &[u64]) -> anyhow::Result<Self> {
        let mut people = Self::of(ice);
        if !pids.is_empty() {
            let known = |owner: &u64| ice.get::<Process>(*owner).map(|p| p.pid);
            for pid in pids {
                if !people.processes.keys().any(|o| known(o) == Some(*pid)) {
                    let all: Vec<String> = people.processes.keys().filter_map(known).map(|p| p.to_string()).collect();
                    anyhow::bail!("there is no process {pid} in the image; there are: {}", all.join(", "));
                }
            }
            people.processes.retain(|owner, _| known(owner).is_some_and(|pid| pids.contains(&pid)));
            people.strangers.clear();
        }
        if !tids.is_empty() {
            let known = |owner: &u64| ice.get::<Thread>(*owner).map(|t| t.tid);
            for tid in tids {
                if !people.processes.values().flatten().any(|o| known(o) == Some(*tid)) {
                    let all = people.processes.values().flatten().filter_map(known);
                    let all: Vec<String> = all.map(|t| t.to_string()).collect();
                    anyhow::bail!("there is no thread {tid}; there are: {}", all.join(", "));
                }
            }
            for threads in people.processes.values_mut() {
                threads.retain(|owner| known(owner).is_some_and(|tid| tids.contains(&tid)));
            }
            people.processes.retain(|_, threads| !threads.is_empty());
            people.strangers.clear();
        }
        Ok(people)
    }
}

fn scope(entry: &Entry) -> Option<Scope> {
    entry.section.as_ref().ok().and_then(AnySection::info).map(|info| info.scope)
}
