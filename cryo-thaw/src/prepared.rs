//! What can be said of a set before a process is started for it.

use std::collections::HashSet;

use cryo_format::section::family::Family;
use cryo_format::section::mm::Mm;
use cryo_format::section::process::Process;
use cryo_format::section::thread::Thread;

use crate::error::{RefusalKind, refuse};
use crate::ice::Ice;
use crate::options::Options;
use crate::plan::{self, Known, Step};
use crate::{Result, check, common, file_map, nameless};

/// A process of the image.
pub struct Member {
    /// Its local id.
    pub id: u64,
    /// What it is.
    pub process: Process,
    /// Its threads with their local ids, the main thread first.
    pub threads: Vec<(u64, Thread)>,
}

/// What is to be made of a set.
pub struct Prepared {
    /// Its processes, the root first.
    pub members: Vec<Member>,
    /// How they come to be.
    pub steps: Vec<Step>,
    /// Objects whose files the person has named (--file-map).
    pub named: HashSet<u64>,
}

/// Everything that can be said of a set before a process is started for it, and whom it is to become.
pub fn prepare(ice: &mut Ice, options: &Options) -> Result<Prepared> {
    check::check(ice, options)?;
    let named = file_map::apply(&mut ice.frore, options);
    let processes = ice.processes();
    let members = processes.iter().map(|(id, process)| {
        let threads = threads(ice, *id, process)?;
        Ok(Member { id: *id, process: (*process).clone(), threads })
    });
    let members = members.collect::<Result<Vec<Member>>>()?;
    let known = processes.iter().map(|(id, process)| Ok(Known { id: *id, process, mm: ice.need::<Mm>(*id)? }));
    let steps = plan::plan(&known.collect::<Result<Vec<_>>>()?, ice.get::<Family>(0))?;
    for step in &steps {
        if let Step::Birth(i, Some(parent), how, _) = step {
            common::of_birth(ice, members[*i].id, members[*parent].id, *how)?;
        }
    }
    let ids: Vec<u64> = members.iter().map(|m| m.id).collect();
    nameless::across(ice, &ids, &steps, &options.notes)?;
    Ok(Prepared { members, steps, named })
}

/// The threads of process `id`, the main thread first, each with its local id.
fn threads(ice: &Ice, id: u64, process: &Process) -> Result<Vec<(u64, Thread)>> {
    let mut threads: Vec<(u64, Thread)> =
        ice.all::<Thread>().filter(|(_, t)| t.process == id).map(|(local, t)| (local, t.clone())).collect();
    threads.sort_by_key(|(_, t)| (t.tid != process.pid, t.tid));
    match threads.first() {
        Some((_, main)) if main.tid == process.pid => Ok(threads),
        _ => refuse(RefusalKind::Image, format!("the .frost has no main thread for process {}", process.pid)),
    }
}
