//! Collectors: one module per kind of state, of the same name as its section.
//!
//! They run while the process stands still, in this order: what /proc tells, what only the process itself can be asked (one batch of remote
//! calls for the process, one for each thread), what is under its descriptors. Pages come later, see [`crate::pages`].

pub mod actions;
pub mod attributes;
pub mod clocks;
pub mod cpu;
pub mod credentials;
pub mod description;
pub mod descriptors;
pub mod epoll;
pub mod eventfd;
pub mod family;
pub mod fanotify;
mod fd;
pub mod files;
pub mod guards;
pub mod inet;
mod inet_socket;
mod inodes;
pub mod inotify;
pub mod itimers;
mod ldt;
pub mod limits;
pub mod locks;
pub mod machine;
pub mod mm;
pub mod mqueues;
pub mod netlink;
mod numa;
pub mod objects;
pub mod origin;
pub mod other_holders;
pub mod outside;
pub mod owners;
mod parallel;
pub mod pending;
pub mod pidfd;
pub mod pipes;
mod pkeys;
pub mod process;
pub mod ptimers;
pub mod ptys;
mod refused_fds;
pub mod regs;
pub mod residence;
pub mod scheduling;
pub mod seccomp;
pub mod semundo;
mod shared;
mod shared_fds;
pub mod signalfd;
pub mod snapshot;
mod socket;
mod socket_tables;
mod sockets;
pub mod syscall;
mod sysv;
mod tcp;
mod tcp_info;
mod tcp_keep;
pub mod terminal;
mod termios;
pub mod thread;
pub mod timerfd;
pub mod unix;
pub mod unsupported;
pub mod vmas;
pub mod xstate;

use std::io::Write;

use cryo_format::Profile;
use cryo_format::section::notes::{Note, Notes};
use cryo_format::section::{AnySection, Section};
use cryo_format::write::Writer;
use cryo_tracee::proc::{Mapping, Stat, Status};
use cryo_tracee::repair::Quiet;
use cryo_tracee::{ForkedCopy, Process, Stopped};

use crate::options::Options;
use crate::pages::Run;
use crate::{Error, Result};
use machine::Machine;

/// From this many threads on, /proc is read by several of our own threads (see [`parallel`]): the process stands still meanwhile.
const THREADS: usize = 32;

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

/// What every collector may look at.
pub struct Scene<'a> {
    /// The process's pid.
    pub pid: i32,
    /// By whose id /proc, kcmp(2) and the like are asked, see [`Process::live_tid`].
    pub live_tid: i32,
    /// Its local id.
    pub id: u64,
    /// /proc/PID/stat.
    pub stat: Stat,
    /// /proc/PID/status.
    pub status: Status,
    /// The same of each of its threads.
    pub threads: Vec<Status>,
    /// Its mappings, without the vsyscall page, which every process has and none can change.
    pub maps: Vec<Mapping>,
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
}

/// Everything but the pages, in the order in which it is written.
#[derive(Default)]
pub struct Collected {
    sections: Vec<(u64, AnySection)>,
    notes: Vec<Note>,
    /// Local id of the process.
    pub process: u64,
    /// A copy of the process, if the original is to go on while its pages are written.
    pub copy: Option<ForkedCopy>,
    /// What the pages of processes and objects are read from.
    pub content: Vec<objects::Content>,
    /// Connections that go on when the program is thawed.
    pub quiet: Vec<Quiet>,
    /// The name of their keeper's door.
    pub door: Vec<u8>,
    /// Descriptors of TCP connections that end with the process, and leave nothing behind.
    pub abort: Vec<i32>,
    /// Union of the threads' XCR0 and of the components that they use.
    pub xcr0: u64,
    /// See `xcr0`.
    pub in_use: u64,
}

impl Collected {
    /// Adds a section.
    pub fn add(&mut self, owner: u64, section: impl Into<AnySection>) {
        self.sections.push((owner, section.into()));
    }

    /// Adds sections of threads, the main thread's first: that one for the whole process, the others where they differ.
    pub fn add_each<S: Section>(&mut self, process: u64, sections: Vec<(u64, S)>) {
        let mut sections = sections.into_iter();
        let Some((_, main)) = sections.next() else { return };
        self.add(process, main.clone());
        sections.filter(|(_, section)| *section != main).for_each(|(id, section)| self.add(id, section));
    }

    /// The sections of a type so far.
    pub fn sections<S: Section>(&self) -> impl Iterator<Item = &S> {
        self.sections.iter().filter_map(|(_, section)| S::of(section))
    }

    /// How much there is so far, for [`Self::back_to`].
    fn mark(&self) -> (usize, usize) {
        (self.sections.len(), self.notes.len())
    }

    /// Takes back what was added since.
    fn back_to(&mut self, mark: (usize, usize)) {
        self.sections.truncate(mark.0);
        self.notes.truncate(mark.1);
    }

    /// Adds a note.
    pub fn note(&mut self, object: impl Into<String>, text: impl Into<String>) {
        self.notes.push(Note { object: object.into().into_bytes().into(), text: text.into().into_bytes().into() });
    }

    /// The notes as lines of text.
    pub fn notes(&self) -> Vec<String> {
        self.notes.iter().map(|n| format!("{}: {}", n.object, n.text)).collect()
    }

    /// Writes the sections of one of the three files.
    pub fn write<W: Write>(&self, writer: &mut Writer<W>) -> Result<()> {
        let profile = writer.header().profile;
        for (owner, section) in &self.sections {
            if section.info().is_some_and(|i| i.profile == profile) {
                writer.any(*owner, section)?;
            }
        }
        if profile == Profile::Frost && !self.notes.is_empty() {
            writer.section(0, &Notes { notes: self.notes.clone().into() })?;
        }
        Ok(())
    }
}

/// Collects the whole state of a process.
pub fn collect(process: &mut Process, machine: &mut Machine, options: &Options, out: &mut Collected) -> Result<()> {
    let (pid, live_tid) = (process.pid(), process.live_tid());
    let mut ids = Ids::default();
    let tids: Vec<i32> = process.threads.iter().map(Stopped::tid).collect();
    let (maps, threads) = parallel::both(
        tids.len() >= THREADS,
        || Ok(cryo_tracee::proc::mappings(live_tid)?),
        || {
            parallel::side_by_side(&tids, THREADS, |tids| {
                Ok(tids.iter().map(|tid| Status::of(*tid)).collect::<cryo_tracee::Result<_>>()?)
            })
        },
    )?;
    let maps: Vec<Mapping> = maps.into_iter().filter(|m| m.path != b"[vsyscall]").collect();
    machine.others.update(&maps);
    let machine = &*machine;
    let status = threads.first().cloned().ok_or(cryo_tracee::Error::Died(pid))?;
    let scene =
        Scene { pid, live_tid, id: ids.fresh(), stat: Stat::of(live_tid)?, status, threads, maps, machine, options };
    unsupported::check(&scene)?;
    unsupported::threads(&scene, &tids)?;
    out.process = scene.id;
    let thread_ids: Vec<u64> = process.threads.iter().map(|_| ids.fresh()).collect();
    seccomp::collect(process, &scene, &thread_ids, out)?;

    // Registers first: they show what the remote calls must not disturb.
    let vdso = scene.maps.iter().find(|m| m.path == b"[vdso]");
    for ((thread, id), status) in process.threads.iter_mut().zip(&thread_ids).zip(&scene.threads) {
        if let Some(vdso) = vdso {
            regs::outside_vdso(thread, vdso)?;
        }
        let regs = syscall::collect(thread, *id, &process.memory, &process.blocked, out)?;
        regs::collect(*id, &regs, out);
        xstate::collect(thread, *id, out)?;
        pending::collect(thread, *id, false, status.hex("SigPnd"), out)?;
    }
    pending::collect(&process.threads[0], scene.id, true, scene.status.hex("ShdPnd"), out)?;
    cpu::collect(out);

    let answers = thread::ask(process, &scene, &thread_ids, out)?;
    if live_tid != pid {
        thread::exited(&scene, ids.fresh(), out)?;
    }
    let mut objects = objects::Objects::new(&scene, out.copy.is_some());
    vmas::collect(&scene, &answers.residence, &mut ids, &mut objects, out)?;
    mm::collect(&scene, &answers.mm, &answers.done, &mut ids, &mut objects, out)?;
    actions::collect(&scene, &answers.actions, &answers.done, answers.ignores_traps, out);
    limits::collect(&scene, &answers.limits, &answers.done, out)?;
    pending::check(out)?;
    clocks::collect(&scene, out)?;
    itimers::collect(&scene, &answers.itimers, &answers.done, out)?;
    process::collect(&scene, process, &answers.process, &answers.done, out)?;
    descriptors::collect(&scene, &mut ids, &mut objects, out)?;
    objects.finish(scene.id, out);
    origin::collect(process.since, out);
    Ok(())
}

/// What has to happen immediately before the original is killed, when the image is complete.
pub fn before_kill(process: &Process, collected: &Collected) -> Result<()> {
    tcp::abort(process.live_tid(), &collected.abort)
}

/// The runs of pages of all that was collected.
pub fn runs(collected: &Collected) -> Vec<Run<'_>> {
    collected.content.iter().flat_map(objects::Content::runs).collect()
}

/// A refusal that names its object.
pub(crate) fn refuse<T>(text: impl Into<String>) -> Result<T> {
    Err(Error::Refused(text.into()))
}
