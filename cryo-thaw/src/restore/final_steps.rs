//! What comes last, in the order in which nothing takes away what the next one needs.

use cryo_format::section::Section;
use cryo_format::section::credentials::Credentials;
use cryo_format::section::itimers::Itimers;
use cryo_format::section::limits::Limits;
use cryo_format::section::mm::Mm;
use cryo_format::section::process::Process;
use cryo_format::section::scheduling::Scheduling;
use cryo_format::section::seccomp::Seccomp;
use cryo_format::section::semundo::SemUndo;
use cryo_format::section::thread::Thread;
use cryo_tracee::Host;
use cryo_tracee::tracees::Listener;

use super::ptimers::Timers;
use super::{credentials, fs, itimers, limits, mm, process, scheduling, seccomp, semundo};
use crate::Result;
use crate::common;
use crate::elapsed::elapsed;
use crate::error::Doing;
use crate::ice::Ice;
use crate::identity::Paths;
use crate::ids::Ids;
use crate::options::Options;

/// For process `id` and its threads, whose local ids are `threads`. The `root`'s parent is not in the image. Returns where it asks if it is watched.
#[allow(clippy::too_many_arguments)] // each of them says another thing
pub fn restore(
    host: &mut Host,
    ice: &Ice,
    id: u64,
    threads: &[u64],
    ids: Ids,
    root: bool,
    paths: Paths<'_>,
    options: &Options,
) -> Result<Option<Listener>> {
    let owner = ice.need::<Process>(id)?;
    // While we have more rights over it than later.
    if let Some(each) = each::<Scheduling>(ice, id, threads) {
        scheduling::restore(host, each.into_iter(), &options.notes)?;
    }
    process::adjust(host, owner, &options.notes)?;
    mm::adjust(host, ice.need::<Mm>(id)?)?;
    for (i, thread) in threads.iter().enumerate() {
        if let (Some(own), Some(thread)) = (ice.get(*thread), ice.get::<Thread>(*thread)) {
            fs::restore(host, i, thread.tid, own, paths, options)?;
        }
    }
    if !common::has(ice, id, libc::CLONE_FS) {
        process::enter_root(host, owner, paths, options)?;
    }
    if let Some(undo) = ice.get::<SemUndo>(id) {
        semundo::restore(host, undo)?;
    }
    mm::lock_future(host, ice.need::<Mm>(id)?)?;
    // The first of all that it is under.
    let mut listener = None;
    if let Some(filter) = &options.watch {
        listener = host.put_under(filter).doing(|| "putting it under the overseer's filter".into())?;
    }
    if let Some(each) = each::<Seccomp>(ice, id, threads) {
        seccomp::restore(host, &each)?;
    }
    if let Some(l) = ice.get::<Limits>(id) {
        limits::restore(host.pid(), l, &options.notes)?;
    }
    ice.need::<Credentials>(id)?;
    let each = each::<Credentials>(ice, id, threads).unwrap_or_default();
    let orphan = root && (options.detach || matches!(ids, Ids::Namespace(_)));
    credentials::restore(host, &each, options, orphan)?;
    // Changes of credentials take away what these set.
    process::finish(host, owner, common::memory_goes_on(ice, id))?;
    Ok(listener)
}

/// Time runs from here on.
pub fn start_timers(host: &mut Host, ice: &Ice, id: u64, timers: &Timers<'_>, options: &Options) -> Result<()> {
    let elapsed = elapsed(ice, options)?;
    if let Some(t) = ice.get::<Itimers>(id) {
        itimers::restore(host, t, elapsed)?;
    }
    timers.arm(host, elapsed)
}

/// What holds for each thread: a section of its own, or that of its process. None if there is no section for the process.
fn each<'a, S: Section>(ice: &'a Ice, id: u64, threads: &[u64]) -> Option<Vec<&'a S>> {
    let common = ice.get::<S>(id)?;
    Some(threads.iter().map(|thread| ice.get::<S>(*thread).unwrap_or(common)).collect())
}
