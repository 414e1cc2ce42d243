//! The thaw itself, from the open set to the process that goes on.

use std::collections::HashSet;

use cryo_format::section::actions::Actions;
use cryo_format::section::guards::Guards;
use cryo_format::section::ldt::Ldt;
use cryo_format::section::mm::Mm;
use cryo_format::section::objects::Objects;
use cryo_format::section::pending::Pending;
use cryo_format::section::process::Process;
use cryo_format::section::regs::RegsX86_64;
use cryo_format::section::removed::Removed;
use cryo_format::section::syscall::Syscall;
use cryo_format::section::thread::Thread;
use cryo_format::section::vmas::Vmas;
use cryo_format::section::xstate::Xstate;

use cryo_tracee::{AWAY, Host, Regs};

use crate::bound_files::BoundFiles;
use crate::elapsed::elapsed;
use crate::error::{RefusalKind, refuse};
use crate::fill::{self, Filler};
use crate::foreground::Foreground;
use crate::ice::Ice;
use crate::identity::Paths;
use crate::ids::Ids;
use crate::options::Options;
use crate::remap::{self, Inject, Remapper, Shape, Template};
use crate::restore::ptimers::Timers;
use crate::restore::{
    actions, clocks, credentials, descriptors, final_steps, guards, ldt, limits, mempolicy, mm, pending, process, regs,
    syscall, terminal, thread, xstate,
};
use crate::{Result, check, file_map, host, identity};

/// A process that goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thawed {
    /// Its pid.
    pub pid: i32,
}

/// A process that stands before its first own instruction, with all that it had. Dropping it ends it.
pub struct Ready {
    host: Host,
    shape: Shape,
    bound: BoundFiles,
}

impl Ready {
    /// Lets it run.
    pub fn run(self) -> Thawed {
        self.shape.keep();
        self.bound.keep();
        Thawed { pid: self.host.release() }
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
    /// Objects whose files the person has named (--file-map).
    pub named: HashSet<u64>,
}

/// Everything that can be said of a set before a process is started for it, and whom it is to become.
pub fn prepare(ice: &mut Ice, options: &Options) -> Result<Member> {
    check::check(ice, options)?;
    let named = file_map::apply(&mut ice.frore, options);
    let (id, process) = ice.process().map(|(id, p)| (id, p.clone()))?;
    let threads = threads(ice, id, &process)?;
    Ok(Member { id, process, threads, named })
}

/// Thaws a set, with the ids that were decided on, up to the point from which it runs; `foreground` is the terminal that it takes over, if it runs in one. The process that comes of it is a child of ours.
pub fn thaw(mut ice: Ice, ids: Ids, options: &Options, foreground: Option<&Foreground>) -> Result<Ready> {
    let Member { id, process, threads, named } = prepare(&mut ice, options)?;

    clocks::restore(&ice, options)?;
    let rights = credentials::fs_rights(&ice, id, options)?;
    let paths = Paths { rights: &rights, same_machine: identity::same_machine(&ice), named: &named };
    let host::Started { mut host, executable } = host::start(&ice, id, ids, &rights, options)?;
    limits::lift(host.pid(), ice.get(id))?;
    let shape = Inject { paths, executable, notes: &options.notes }.remap(&mut host, &Template::of(&ice, id)?)?;
    mempolicy::ranges(&mut host, ice.get(id), &options.notes)?;
    let files = descriptors::restore(&mut host, &ice.frore, &ice.frost, id, &shape.unlinked, paths, options)?;
    mm::restore(&mut host, ice.need::<Mm>(id)?)?;
    // A directory that was removed (`RMVD`) it is in already.
    if !ice.all::<Removed>().any(|(_, r)| r.cwd != 0) {
        process::enter_directory(&mut host, &process, paths, options)?;
    }
    process::restore(&mut host, &process)?;
    actions::restore(&mut host, ice.need::<Actions>(id)?)?;

    // From a pipe the pages arrive only now; the host stands ready.
    if let Some(pages) = ice.pages.take() {
        let vmas = &ice.need::<Vmas>(id)?.vmas;
        let filler = Filler {
            process: id,
            memory: host.memory(),
            vmas,
            shape: &shape,
            files: files.contents(),
            notes: &options.notes,
            verify: !options.no_verify,
        };
        fill::fill(pages, &filler)?;
    }
    fill::trim(&host, files.contents(), &ice.need::<Objects>(0)?.objects)?;
    if let Some(bridge) = &shape.vdso {
        bridge.build(&host)?;
    }

    shape.protect(&mut host)?;
    if let Some(guards) = ice.get::<Guards>(id) {
        guards::restore(&mut host, guards, &options.notes)?;
    }
    remap::lock_and_seal(&mut host, &ice.need::<Vmas>(id)?.vmas, &options.notes)?;
    for (_, thread) in &threads[1..] {
        host.spawn_thread((ids != Ids::New).then_some(thread.tid as i32))?;
    }
    let elapsed = elapsed(&ice, options)?;
    let bound = descriptors::finish(&mut host, files, elapsed)?;
    let thread_ids: Vec<u64> = threads.iter().map(|(id, _)| *id).collect();
    let mut timers = Timers::of(&ice, id, thread_ids.clone());
    timers.create(&mut host)?;
    let mut registers = Vec::with_capacity(threads.len());
    if let Some(table) = ice.get::<Ldt>(id) {
        ldt::restore(&mut host, table)?;
    }
    for (i, (thread_id, thread)) in living(&threads) {
        registers.push(services(&mut host, &ice, i, *thread_id, thread, &timers)?);
        if let Some(policy) = ice.get(*thread_id) {
            mempolicy::thread(&mut host, i, policy, &options.notes)?;
        }
    }
    if let Some(p) = ice.get::<Pending>(id) {
        pending::restore(&mut host, 0, &timers.others(p), None)?;
    }
    terminal::restore(&mut host, foreground)?;
    final_steps::restore(&mut host, &ice, id, &thread_ids, ids, paths, options)?;
    // Only now, when nothing has more rights than the program: these are the image's own calls.
    for ((i, (thread_id, _)), regs) in living(&threads).zip(&mut registers) {
        if let Some(call) = ice.get::<Syscall>(*thread_id) {
            syscall::restore(&mut host, i, call, elapsed, regs)?;
            host.thread_at(i)?.set_sigmask(AWAY)?;
        }
    }
    final_steps::start_timers(&mut host, &ice, id, &timers, options)?;
    let (main, others) = (&threads[0].1, &threads[1..]);
    if main.exited != 0 {
        host.end_main(main.exit_code)?;
    }
    host.leave_scratch()?;
    let live = if main.exited != 0 { others } else { &threads };
    for (i, ((thread_id, thread), regs)) in live.iter().zip(&registers).enumerate() {
        let stopped = host.thread_at(i)?;
        xstate::restore(stopped, ice.need::<Xstate>(*thread_id)?)?;
        stopped.set_regs(regs)?;
        stopped.set_sigmask(thread.sigmask.0)?;
        thread::dispatch(stopped, thread)?;
    }
    if options.stopped || process.stopped_by != 0 {
        cryo_tracee::signals::kill(host.pid(), libc::SIGSTOP)?;
    }
    Ok(Ready { host, shape, bound })
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

/// Those that have not exited, with their places.
fn living(threads: &[(u64, Thread)]) -> impl Iterator<Item = (usize, &(u64, Thread))> {
    threads.iter().enumerate().filter(|(_, (_, thread))| thread.exited == 0)
}

/// What the kernel keeps for thread `i`; returns the registers that it shall have in the end.
fn services(host: &mut Host, ice: &Ice, i: usize, id: u64, thread: &Thread, timers: &Timers<'_>) -> Result<Regs> {
    // The registration of rseq writes into memory that is filled by now.
    thread::restore(host, i, thread)?;
    let mut regs = regs::regs(ice.need::<RegsX86_64>(id)?);
    regs::abort_rseq(&mut regs, thread.rseq.0, host.memory())?;
    // Nothing may be delivered before the registers are right.
    host.thread_at(i)?.set_sigmask(AWAY)?;
    if let Some(p) = ice.get::<Pending>(id) {
        let tid = host.thread_at(i)?.tid();
        pending::restore(host, i, &timers.others(p), Some(tid))?;
    }
    Ok(regs)
}
