//! The thaw itself, from the open set to the process that goes on.

use cryo_format::section::actions::Actions;
use cryo_format::section::mm::Mm;
use cryo_format::section::objects::Objects;
use cryo_format::section::pending::Pending;
use cryo_format::section::process::Process;
use cryo_format::section::regs::RegsX86_64;
use cryo_format::section::syscall::Syscall;
use cryo_format::section::thread::Thread;
use cryo_format::section::vmas::Vmas;
use cryo_format::section::xstate::Xstate;

use crate::error::refuse;
use crate::fill::{self, Filler};
use crate::ice::Ice;
use crate::options::Options;
use crate::remap::{Inject, Remapper, Template};
use crate::restore::{actions, descriptors, mm, pending, process, regs, syscall, thread, xstate};
use crate::{Result, check, host};

/// A process that goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thawed {
    /// Its pid.
    pub pid: i32,
}

/// Thaws a set. The process that comes of it is a child of ours.
pub fn thaw(ice: Ice, options: &Options) -> Result<Thawed> {
    check::check(&ice, options)?;
    let Some((id, process)) = ice.all::<Process>().next().map(|(id, p)| (id, p.clone())) else {
        return refuse("the .frost holds no process");
    };
    let Some((thread_id, thread)) = ice.all::<Thread>().next().map(|(id, t)| (id, t.clone())) else {
        return refuse("the .frost holds no thread");
    };
    let registers = ice.need::<RegsX86_64>(thread_id)?.clone();
    let extended = ice.need::<Xstate>(thread_id)?.clone();
    let call = ice.get::<Syscall>(thread_id).cloned();
    let vmas = ice.need::<Vmas>(id)?.clone();
    let objects = ice.need::<Objects>(0)?.clone();

    let mut host = host::start(&ice, id, options)?;
    let shape = Inject.remap(&mut host, &Template::of(&ice, id)?)?;
    let files = descriptors::restore(&mut host, &ice, id, options)?;
    mm::restore(&mut host, ice.need::<Mm>(id)?)?;
    process::restore(&mut host, &process)?;
    actions::restore(&mut host, ice.need::<Actions>(id)?)?;
    let shared = ice.get::<Pending>(id).cloned();
    let own = ice.get::<Pending>(thread_id).cloned();

    // From a pipe the pages arrive only now; the host stands ready.
    let filler = Filler { process: id, memory: host.memory(), vmas: &vmas.vmas, shape: &shape, files: &files };
    fill::fill(ice.pages, &filler)?;
    fill::trim(&host, &files, &objects.objects)?;
    drop(files);
    if let Some(bridge) = &shape.vdso {
        bridge.build(&host)?;
    }

    // The registration of rseq writes into memory that is filled now; so does a call that is begun again.
    thread::restore(&mut host, &thread)?;
    let mut regs = regs::regs(&registers);
    regs::abort_rseq(&mut regs, thread.rseq.0, host.memory())?;
    if let Some(call) = &call {
        syscall::restore(&mut host, call, &mut regs)?;
    }
    // Nothing may be delivered before the registers are right.
    host.thread()?.set_sigmask(u64::MAX)?;
    if let Some(p) = &own {
        let tid = host.pid();
        pending::restore(&mut host, p, Some(tid))?;
    }
    if let Some(p) = &shared {
        pending::restore(&mut host, p, None)?;
    }
    host.leave_scratch()?;
    let stopped = host.thread()?;
    xstate::restore(stopped, &extended)?;
    stopped.set_regs(&regs)?;
    stopped.set_sigmask(thread.sigmask.0)?;
    if options.stopped || process.stopped_by != 0 {
        cryo_tracee::signals::kill(host.pid(), libc::SIGSTOP)?;
    }
    Ok(Thawed { pid: host.release() })
}
