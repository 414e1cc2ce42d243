//! What brings a process from a filled memory to the point where it runs: what the kernel keeps for it, its threads, its registers.

use cryo_format::section::actions::Actions;
use cryo_format::section::descriptors::ThreadDescriptors;
use cryo_format::section::guards::Guards;
use cryo_format::section::ldt::Ldt;
use cryo_format::section::objects::Objects;
use cryo_format::section::pending::Pending;
use cryo_format::section::thread::Thread;
use cryo_format::section::vmas::Vmas;
use cryo_format::section::xstate::Xstate;
use cryo_tracee::{AWAY, Arch, Host, Regs};

use crate::Result;
use crate::births::Births;
use crate::common;
use crate::elapsed::elapsed;
use crate::foreground::Foreground;
use crate::ice::Ice;
use crate::ids::Ids;
use crate::remap;
use crate::restore::ptimers::Timers;
use crate::restore::table::Table;
use crate::restore::{
    actions, aio, descriptors, final_steps, generation, guards, ldt, mempolicy, parted, pending, regs, syscall,
    terminal, thread, tls, xstate,
};

/// Member `i`, when all are born and all memory is filled.
pub fn finish<'a>(births: &mut Births<'a>, i: usize, table: &mut Table<'a>) -> Result<()> {
    let (ice, ids, options, paths) = (births.ice, births.ids, births.options, births.paths(i));
    let member = &births.prepared.members[i];
    let (id, threads) = (member.id, &member.threads);
    let foreground = births.foreground.filter(|_| i == 0);
    let job = foreground.and_then(Foreground::job).map(|pgid| births.number(pgid)).transpose()?;
    let Some((host, shape)) = births.ready.hosts.get_mut(i) else { return Ok(()) };

    // Who has its memory in common with one before it finds it as it is to be.
    let own_memory = !common::has(ice, id, libc::CLONE_VM);
    if own_memory {
        shape.clear_away(host)?;
        shape.protect(host)?;
        if let Some(guards) = ice.get::<Guards>(id) {
            guards::restore(host, guards, &options.notes)?;
        }
    }
    // Handlers in common are set once more: to make calls in a process that ignores SIGTRAP may have changed that.
    actions::restore(host, ice.need::<Actions>(id)?)?;
    if own_memory {
        if let Some(contexts) = ice.get(id) {
            aio::restore(host, contexts)?;
        }
        let objects = ice.get::<Objects>(0).map_or(&[][..], |o| &o.objects);
        generation::restore(host, &ice.need::<Vmas>(id)?.vmas, objects)?;
        remap::lock_and_seal(host, &ice.need::<Vmas>(id)?.vmas, &options.notes)?;
    }
    for (i, (thread_id, thread)) in threads.iter().enumerate().skip(1) {
        host.spawn_thread(parted::maker(ice, *thread_id, threads)?, (ids != Ids::New).then_some(thread.tid as i32))?;
        parted::part(host, ice, i, *thread_id)?;
    }
    let elapsed = elapsed(ice, options)?;
    // Threads with a table of their own have left that of the process with all that is parked there.
    let own = |id: u64| ice.get::<ThreadDescriptors>(id).is_some_and(|own| own.shared_with == 0);
    for (i, (id, _)) in threads.iter().enumerate().filter(|(_, (id, _))| own(*id)) {
        host.in_thread(i, |host| descriptors::enter(host, table, *id, paths, false))?;
    }
    descriptors::finish(host, table, id, paths, elapsed)?;
    for (i, (id, _)) in threads.iter().enumerate().filter(|(_, (id, _))| own(*id)) {
        host.in_thread(i, |host| descriptors::finish(host, table, *id, paths, elapsed))?;
    }
    let thread_ids: Vec<u64> = threads.iter().map(|(id, _)| *id).collect();
    let mut timers = Timers::of(ice, id, thread_ids.clone());
    timers.create(host)?;
    let mut registers = Vec::with_capacity(threads.len());
    if let Some(table) = ice.get::<Ldt>(id) {
        ldt::restore(host, table)?;
    }
    for (i, (thread_id, thread)) in living(threads) {
        registers.push(services(host, ice, i, *thread_id, thread, &timers)?);
        if host.arch() == Arch::I386 {
            tls::restore(host.thread_at(i)?, ice.get(*thread_id))?;
        }
        if let Some(policy) = ice.get(*thread_id) {
            mempolicy::thread(host, i, policy, &options.notes)?;
        }
    }
    if let Some(p) = ice.get::<Pending>(id) {
        pending::restore(host, 0, &timers.others(p), false)?;
    }
    terminal::restore(host, foreground, job)?;
    let listener = final_steps::restore(host, ice, id, &thread_ids, ids, i == 0, paths, options)?;
    births.ready.listeners.extend(listener.map(|listener| (i, listener)));
    // Only now, when nothing has more rights than the program: these are the image's own calls.
    for ((i, (thread_id, _)), regs) in living(threads).zip(&mut registers) {
        if let Some(call) = syscall::Call::of(ice, host.arch(), *thread_id) {
            syscall::restore(host, i, &call, elapsed, regs)?;
            host.thread_at(i)?.set_sigmask(AWAY)?;
        }
    }
    final_steps::start_timers(host, ice, id, &timers, options)?;
    let (main, others) = (&threads[0].1, &threads[1..]);
    if main.exited != 0 {
        host.end_main(main.exit_code)?;
    }
    host.leave_scratch(common::memory_goes_on(ice, id))?;
    let live = if main.exited != 0 { others } else { threads };
    for (i, ((thread_id, thread), regs)) in live.iter().zip(&registers).enumerate() {
        let stopped = host.thread_at(i)?;
        xstate::restore(stopped, ice.need::<Xstate>(*thread_id)?)?;
        stopped.set_regs(regs)?;
        stopped.set_sigmask(thread.sigmask.0)?;
        thread::dispatch(stopped, thread)?;
    }
    if options.stopped || member.process.stopped_by != 0 {
        cryo_tracee::signals::kill(host.pid(), libc::SIGSTOP)?;
    }
    Ok(())
}

/// Those that have not exited, with their places.
fn living(threads: &[(u64, Thread)]) -> impl Iterator<Item = (usize, &(u64, Thread))> {
    threads.iter().enumerate().filter(|(_, (_, thread))| thread.exited == 0)
}

/// What the kernel keeps for thread `i`; returns the registers that it shall have in the end.
fn services(host: &mut Host, ice: &Ice, i: usize, id: u64, thread: &Thread, timers: &Timers<'_>) -> Result<Regs> {
    // The registration of rseq writes into memory that is filled by now.
    thread::restore(host, i, thread)?;
    let mut regs = regs::of_thread(ice, thread.process, id)?;
    regs::abort_rseq(&mut regs, thread.rseq.0, host.memory())?;
    // Nothing may be delivered before the registers are right.
    host.thread_at(i)?.set_sigmask(AWAY)?;
    if let Some(p) = ice.get::<Pending>(id) {
        pending::restore(host, i, &timers.others(p), true)?;
    }
    Ok(regs)
}
