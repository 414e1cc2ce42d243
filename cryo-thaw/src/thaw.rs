//! The thaw itself, from the open set to the processes that go on.

use std::collections::{BTreeMap, HashSet};

use cryo_format::given;
use cryo_format::section::family::Family;
use cryo_format::section::mm::Mm;
use cryo_format::section::process::Process;
use cryo_format::section::thread::Thread;
use cryo_tracee::Host;

use crate::births::Births;
use crate::bound_files::BoundFiles;
use crate::error::{RefusalKind, refuse};
use crate::foreground::Foreground;
use crate::ice::Ice;
use crate::ids::Ids;
use crate::options::Options;
use crate::plan::{self, Known, Step};
use crate::posix_shm::{self, Made};
use crate::remap::Shape;
use crate::restore::{clocks, credentials};
use crate::{Result, check, common, file_map, finish, identity, nameless};

/// Processes that go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thawed {
    /// The root's pid.
    pub pid: i32,
}

/// Processes that stand before their first own instruction, with all that they had. Dropping it ends them.
pub struct Ready {
    pub(crate) hosts: Vec<(Host, Shape)>,
    pub(crate) bound: Option<BoundFiles>,
    pub(crate) shm: Option<Made>,
}

impl Ready {
    /// Lets them run, all at once.
    pub fn run(mut self) -> Thawed {
        if let Some(bound) = self.bound.take() {
            bound.keep();
        }
        if let Some(shm) = self.shm.take() {
            shm.keep();
        }
        let mut pid = 0;
        for (host, shape) in self.hosts.drain(..).rev() {
            shape.keep();
            pid = host.release();
        }
        Thawed { pid }
    }
}

impl Drop for Ready {
    /// Children first: nobody's end is to be seen by a parent that has none of its own memory any more.
    fn drop(&mut self) {
        while self.hosts.pop().is_some() {}
    }
}

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

/// Thaws a set, with the ids that were decided on, up to the point from which it runs; `foreground` is the terminal that it takes over, if it runs in
/// one. The root that comes of it is a child of ours.
pub fn thaw(mut ice: Ice, ids: Ids, options: &Options, foreground: Option<&Foreground>) -> Result<Ready> {
    let mut prepared = prepare(&mut ice, options)?;
    let mut pages = ice.pages.take();
    clocks::restore(&ice, options)?;
    let rights =
        prepared.members.iter().map(|m| credentials::fs_rights(&ice, m.id, options)).collect::<Result<Vec<_>>>()?;
    let shm = match rights.first() {
        Some(rights) => posix_shm::make(&mut ice, rights, &options.notes)?,
        None => Made::default(),
    };
    prepared.named.extend(shm.files().map(|(object, _)| object));
    let ice = &ice;
    let mut births = Births {
        ice,
        ids,
        options,
        foreground,
        prepared: &prepared,
        rights: &rights,
        same_machine: identity::same_machine(ice),
        ready: Ready { hosts: Vec::new(), bound: None, shm: Some(shm) },
        zombies: BTreeMap::new(),
        stand_ins: Vec::new(),
        executables: Vec::new(),
    };
    let mut table = births.all(&mut pages)?;
    for i in 0..prepared.members.len() {
        finish::finish(&mut births, i, &mut table)?;
    }
    for map in options.file_map.iter().filter(|map| !map.was_used()) {
        let old = given::quoted(&map.old);
        options.notes.add(format!("--file-map {old}=...: the image has nothing at {old}: it was of no use"));
    }
    let stopped = |m: &&Member| m.process.stopped_by != 0;
    if let Some(one) = prepared.members.iter().find(stopped).filter(|_| !options.stopped) {
        let who = match prepared.members.iter().filter(stopped).count() {
            1 if prepared.members.len() == 1 => "it was".to_owned(),
            1 => format!("process {} was", one.process.pid),
            n => format!("{n} processes were"),
        };
        options.notes.add(format!("{who} stopped at the freeze (a job-control stop), and so again: kill -CONT, or fg in the foreground, goes on"));
    }
    births.ready.bound = Some(table.bound);
    Ok(births.ready)
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
