//! Collectors: one module per kind of state, of the same name as its section.
//!
//! They run while the process stands still, in this order: what /proc tells, what only the process itself can be asked (one batch of remote
//! calls for the process, one for each thread), what is under its descriptors. Pages come later, see [`crate::pages`].

pub mod actions;
pub mod attributes;
mod cgroups;
pub mod clocks;
mod collected;
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
mod held;
pub mod inet;
mod inet_socket;
mod inodes;
pub mod inotify;
pub mod itimers;
mod keyrings;
mod ldt;
pub mod limits;
pub mod locks;
pub mod machine;
pub mod mempolicy;
pub mod mm;
pub mod mqueues;
pub mod netlink;
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
mod prctls;
pub mod process;
pub mod ptimers;
pub mod ptys;
mod refused_fds;
pub mod regs;
mod removed;
pub mod residence;
mod scene;
pub mod scheduling;
pub mod seccomp;
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
pub mod unix;
pub mod unsupported;
pub mod vmas;
pub mod xstate;

pub use collected::Collected;
pub use held::Held;
pub use scene::{Ids, Scene};

use cryo_tracee::proc::{Mapping, Stat, Status};
use cryo_tracee::{Process, Stopped};

pub(crate) use crate::error::RefusalKind;
use crate::error::{Refusal, Result};
use crate::options::Options;
use machine::Machine;

/// From this many threads on, /proc is read by several of our own threads (see [`parallel`]): the process stands still meanwhile.
const THREADS: usize = 32;

/// Collects the whole state of a process. Returns its local id.
pub fn collect(
    process: &mut Process,
    machine: &mut Machine,
    options: &Options,
    out: &mut Collected,
    held: &mut Held,
) -> Result<u64> {
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
    cgroups::note(&scene, out)?;
    session::note(&scene, out);
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

    let answers = thread::ask(process, &scene, &thread_ids, out, held)?;
    if live_tid != pid {
        thread::exited(&scene, ids.fresh(), out)?;
    }
    let mut objects = objects::Objects::new(&scene, held.copy.is_some());
    vmas::collect(&scene, &answers.residence, &mut ids, &mut objects, out)?;
    mm::collect(&scene, &answers.mm, &answers.done, &mut ids, &mut objects, out)?;
    actions::collect(&scene, &answers.actions, &answers.done, answers.ignores_traps, out);
    limits::collect(&scene, &answers.limits, &answers.done, out)?;
    pending::check(out)?;
    clocks::collect(&scene, out)?;
    itimers::collect(&scene, &answers.itimers, &answers.done, out)?;
    process::collect(&scene, process, &answers.process, &answers.done, out)?;
    descriptors::collect(&scene, &mut ids, &mut objects, out, held)?;
    held.content = objects.finish(scene.id, out);
    origin::collect(process.since, out);
    Ok(scene.id)
}

/// What has to happen immediately before the original is killed, when the image is complete.
pub fn before_kill(process: &Process, held: &Held) -> Result<()> {
    tcp::abort(process.live_tid(), &held.abort)
}

/// A refusal that names its object.
pub(crate) fn refuse<T>(kind: RefusalKind, text: impl Into<String>) -> Result<T> {
    Err(Refusal::new(kind, text).into())
}
