//! Collectors: one module per kind of state, of the same name as its section.
//!
//! They run while the processes stand still, in this order: of each process what /proc tells, and what only the process itself can be asked (one
//! batch of remote calls for the process, one for each thread); then what is under the descriptors of all. Pages come later, see [`crate::pages`].

pub mod actions;
pub mod aio;
mod also;
pub mod ancillary;
mod anon_inodes;
pub mod attributes;
mod cgroups;
pub mod clocks;
mod collected;
mod content;
pub mod cpu;
pub mod credentials;
pub mod description;
pub mod descriptions;
pub mod descriptors;
pub mod epoll;
pub mod eventfd;
mod facts;
pub mod family;
pub mod fanotify;
mod fd;
pub mod files;
pub mod forked;
pub mod fs;
pub mod glance;
pub mod guards;
mod held;
pub mod history;
mod in_flight;
pub mod inet;
mod inet_socket;
mod inodes;
pub mod inotify;
pub mod itimers;
mod keyrings;
mod landlock;
pub mod ldt;
pub mod limits;
pub mod locks;
pub mod machine;
pub mod mempolicy;
pub mod mm;
pub mod mqueues;
pub mod netlink;
pub mod noticed;
pub mod objects;
pub mod origin;
pub mod other_holders;
pub mod outside;
pub mod owners;
pub mod packet;
mod parallel;
pub mod parent;
mod parted;
pub mod peers;
pub mod pending;
pub mod pidfd;
pub mod pipes;
mod pkeys;
mod prctls;
pub mod process;
pub mod ptimers;
pub mod ptys;
pub mod raw;
mod refused_fds;
pub mod regs;
mod removed;
pub mod residence;
mod scene;
pub mod scheduling;
pub mod seccomp;
pub mod seen;
pub mod semundo;
mod session;
pub mod sessions;
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
pub mod tls;
pub mod unix;
pub mod unsupported;
pub mod vmas;
mod witness;
pub mod xstate;

pub use collected::Collected;
pub use held::{Contents, Held, Member};
pub use scene::{Ids, Scene};

use std::collections::HashMap;

use cryo_format::section::family::Family;
use cryo_tracee::fds::Shared;
use cryo_tracee::proc::{Mapping, Present, Stat, Status};
use cryo_tracee::{Process, Stopped};

use crate::error::Result;
pub(crate) use crate::error::{RefusalKind, refuse};
use crate::live::Live;
use crate::options::Options;
use facts::Facts;
use machine::Machine;
use thread::Asking;
use witness::Witness;

/// From this many members on, /proc is read by several of our own threads.
const MEMBERS: usize = 4;

/// Collects the whole state of a process, or of a family of them. Returns what its pages are.
pub fn collect(
    family: &mut cryo_tracee::Family,
    machine: &mut Machine,
    options: &Options,
    out: &mut Collected,
    held: &mut Held,
) -> Result<Contents> {
    let members = &mut family.members;
    let pids: Vec<i32> = members.iter().map(Process::pid).collect();
    let all_tids = |m: &Process| m.threads.iter().map(Stopped::tid).collect();
    let tids: Vec<(i32, i32, Vec<i32>)> = members.iter().map(|m| (m.pid(), m.live_tid(), all_tids(m))).collect();
    let (ours, live) = (&machine.ours, held.live.as_ref());
    let mut looks = parallel::each(&tids, MEMBERS, |tids| Look::at(tids, ours, live))?;
    if let Some(live) = &held.live {
        for (look, pid) in looks.iter_mut().zip(&pids) {
            look.maps = live.unmark(*pid, std::mem::take(&mut look.maps));
        }
    }
    machine.others.update(&pids, looks.iter().flat_map(|look| &look.maps));
    let machine = &*machine;
    let mut ids = Ids::default();
    let mut scenes = Vec::with_capacity(members.len());
    for (member, (process, look)) in members.iter().zip(looks).enumerate() {
        let (pid, live_tid) = (process.pid(), process.live_tid());
        let Look { maps, pages, threads, stat, namespaces, facts } = look;
        let status = threads.first().cloned().ok_or(cryo_tracee::Error::Died(pid))?;
        let witness = Witness::of(
            &status,
            &namespaces,
            machine,
            scenes.iter().filter_map(|scene: &Scene<'_>| scene.witness.as_ref()),
        );
        let may_have_joined_keyring = keyrings::may_be_joined(&status, &scenes);
        scenes.push(Scene {
            arch: process.arch,
            member,
            members: pids.len(),
            pid,
            live_tid,
            id: ids.fresh(),
            thread_ids: threads.iter().map(|_| ids.fresh()).collect(),
            stat,
            status,
            threads,
            maps,
            pages,
            namespaces,
            facts,
            witness,
            may_have_joined_keyring,
            machine,
            options,
        });
    }
    scenes.iter().try_for_each(shared::check_process)?;
    family::collect(&scenes, &family.zombies, out)?;
    let directories = parted::look(&scenes, Shared::Fs, "its working directory and umask")?;
    let tables = parted::look(&scenes, Shared::Files, "its table of descriptors")?;
    parted::check(&directories, &tables)?;
    fs::collect(&directories, out)?;
    let memories: Vec<_> = members.iter().map(|member| &member.memory).collect();
    let common = out.sections::<Family>().next().map_or_else(Vec::new, |f| f.common.to_vec());
    let forked = forked::look(&scenes, &memories, &common)?;
    let mut objects = objects::Objects::new(&scenes);
    // Those that have one memory are asked one after another.
    let one_memory = common.iter().any(|c| c.flags & libc::CLONE_VM as u32 != 0);
    let at_once = if one_memory { 1 } else { scenes.len().max(1) };
    let mut adopt = Vec::with_capacity(scenes.len());
    for (processes, of) in members.chunks_mut(at_once).zip(scenes.chunks(at_once)) {
        each_members_own(processes, of, &scenes, &mut adopt, &mut ids, &mut objects, out, held)?;
    }
    descriptors::collect(&scenes, &tables, &mut ids, &mut objects, out, held)?;
    let all = objects.finish(&scenes, out)?;
    if let Some(root) = members.first() {
        origin::collect(root.since, out);
    }
    let members = scenes.iter().map(|scene| Member { id: scene.id, pid: scene.pid, comm: scene.comm() }).collect();
    Ok(Contents { members, all, forked })
}

/// What /proc says of a process.
struct Look {
    /// Its mappings.
    maps: Vec<Mapping>,
    /// Its pages.
    pages: Vec<Present>,
    /// Each of its threads.
    threads: Vec<Status>,
    stat: Stat,
    namespaces: Vec<Vec<u8>>,
    facts: Facts,
}

impl Look {
    /// At a process that /proc knows by the second id, and has these threads.
    fn at(
        (pid, live_tid, tids): &(i32, i32, Vec<i32>),
        ours: &HashMap<&'static str, Vec<u8>>,
        live: Option<&Live>,
    ) -> Result<Self> {
        let (maps, threads) = parallel::both(
            tids.len() >= parallel::THREADS,
            || match live.and_then(|live| live.mappings(*pid, *live_tid)) {
                Some(maps) => Ok(maps),
                None => Ok(cryo_tracee::proc::mappings(*live_tid)?),
            },
            || parallel::each(tids, parallel::THREADS, |tid| Ok(Status::of(*tid)?)),
        )?;
        let maps: Vec<_> = maps.into_iter().filter(|m| m.path != b"[vsyscall]").collect();
        Ok(Self {
            pages: objects::pages(*live_tid, &maps)?,
            maps,
            threads,
            stat: Stat::of(*live_tid)?,
            namespaces: machine::namespaces(*live_tid)?,
            facts: Facts::of(*live_tid, ours),
        })
    }
}

/// Adds what is each member's own, of these: each makes its remote calls while the others are looked at. `adopt` says of all before them whether they
/// [adopt](thread::Answers::adopts).
#[allow(clippy::too_many_arguments)] // each of them says another thing
fn each_members_own(
    processes: &mut [Process],
    scenes: &[Scene<'_>],
    all: &[Scene<'_>],
    adopt: &mut Vec<bool>,
    ids: &mut Ids,
    objects: &mut objects::Objects,
    out: &mut Collected,
    held: &mut Held,
) -> Result<()> {
    let named = family::of_member;
    let mut asking = Vec::with_capacity(scenes.len());
    for (process, scene) in processes.iter_mut().zip(scenes) {
        let stopped_by = process.threads.first().map_or(0, Stopped::stopped_by);
        let begun = from_outside(process, scene, out).and_then(|()| Asking::begin(process, scene));
        asking.push((stopped_by, begun.map_err(|e| named(scene, e))?));
    }
    for ((_, asking), scene) in asking.iter_mut().zip(scenes) {
        asking.ask(scene).map_err(|e| named(scene, e))?;
    }
    let mut all_answers = Vec::with_capacity(scenes.len());
    for ((_, asking), scene) in asking.iter_mut().zip(scenes) {
        let adopted = family::parent(all, scene).is_some_and(|parent| adopt[parent.member]);
        let answers = asking.answers(scene, adopted, out, held).map_err(|e| named(scene, e))?;
        adopt.push(answers.adopts);
        all_answers.push(answers);
    }
    for scene in scenes.iter().filter(|scene| held.copies.get(scene.member).is_some_and(Option::is_some)) {
        objects.copied(scene.member);
    }
    for (_, asking) in &mut asking {
        asking.begin_return();
    }
    for (((stopped_by, asking), scene), answers) in asking.into_iter().zip(scenes).zip(&all_answers) {
        drop(asking);
        answered(scene, stopped_by, answers, ids, objects, out).map_err(|e| named(scene, e))?;
    }
    Ok(())
}

/// Adds what can be seen of a member from outside, and is to be seen before it makes calls.
fn from_outside(process: &mut Process, scene: &Scene<'_>, out: &mut Collected) -> Result<()> {
    let tids: Vec<i32> = process.threads.iter().map(Stopped::tid).collect();
    unsupported::check(scene)?;
    unsupported::threads(scene, &tids)?;
    cgroups::note(scene, out)?;
    session::note(scene, out);
    seccomp::collect(process, scene, &scene.thread_ids, out)?;

    // Registers first: they show what the remote calls must not disturb.
    let vdso = scene.maps.iter().find(|m| m.path == b"[vdso]");
    for ((thread, id), status) in process.threads.iter_mut().zip(&scene.thread_ids).zip(&scene.threads) {
        if let Some(vdso) = vdso {
            regs::outside_vdso(thread, vdso)?;
        }
        regs::own_code(thread, scene.arch)?;
        let regs = syscall::collect(thread, scene.arch, *id, &process.memory, &process.blocked, out)?;
        regs::collect(*id, scene.arch, &regs, out);
        tls::collect(thread, scene.arch, *id, out)?;
        xstate::collect(thread, *id, out)?;
        pending::collect(thread, *id, false, status.hex("SigPnd"), out)?;
    }
    pending::collect(&process.threads[0], scene.id, true, scene.status.hex("ShdPnd"), out)?;
    if scene.member == 0 {
        cpu::collect(out);
    }
    Ok(())
}

/// Adds the rest of it, when it has answered and is again what it was.
fn answered(
    scene: &Scene<'_>,
    stopped_by: i32,
    answers: &thread::Answers,
    ids: &mut Ids,
    objects: &mut objects::Objects,
    out: &mut Collected,
) -> Result<()> {
    if scene.live_tid != scene.pid {
        thread::exited(scene, ids.fresh(), out)?;
    }
    vmas::collect(scene, &answers.residence, ids, objects, out)?;
    mm::collect(scene, &answers.mm, &answers.done, ids, objects, out)?;
    actions::collect(scene, &answers.actions, &answers.done, answers.ignores_traps, out);
    limits::collect(scene, &answers.limits, &answers.done, out)?;
    pending::check(out)?;
    clocks::collect(scene, out)?;
    itimers::collect(scene, &answers.itimers, &answers.done, out)?;
    process::collect(scene, stopped_by, &answers.process, &answers.done, out)
}

/// What has to happen immediately before the originals are killed, when the image is complete.
pub fn before_kill(held: &Held) -> Result<()> {
    held.abort.chunk_by(|a, b| a.0 == b.0).try_for_each(|of| tcp::abort(of[0].0, of.iter().map(|(_, fd)| *fd)))
}
