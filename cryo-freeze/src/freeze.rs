//! The freeze itself, from seizing the process to letting it go or ending it.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cryo_format::section::files::OpenFile;
use cryo_format::set;
use cryo_tracee::Family;
use cryo_tracee::repair::{Keeper, Quiet};
use cryo_tracee::signals::{Interruptible, Uninterrupted};

use crate::Result;
use crate::collect::glance::{Glance, Place};
use crate::collect::machine::Machine;
use crate::collect::noticed::Noticed;
use crate::collect::parent::Parent;
use crate::collect::{self, Collected, Contents, Held};
use crate::collect::{RefusalKind, refuse};
use crate::confirm::PIPE;
use crate::error::{Error, Refusal, not_asked_to_end};
use crate::live::{Begun, Live, Remembered, Smaps, Still, forecast};
use crate::options::{self, Afterwards, Children, Options};
use crate::output::OutputFiles;
use crate::pages::{self, Run};
use crate::tracer::{Traced, Tracer};
use crate::write::Writing;

/// So often who reads the master of a pseudo-terminal gets the time to read what is in it.
const UNREAD: usize = 25;

/// Where the set goes.
pub enum Target<'a> {
    /// NAME.freeze, NAME.frore and NAME.frost.
    Name(&'a Path),
    /// One after another into this.
    Pipe(&'a mut File),
}

/// A freeze that is complete.
#[derive(Debug)]
pub struct Frozen {
    /// Path of the .freeze; `None` if it went into a pipe.
    pub path: Option<PathBuf>,
    /// The processes that are in it, each behind its parent; the first is the one that was asked for.
    pub members: Vec<FrozenProcess>,
    /// What was left out or replaced.
    pub notes: Vec<String>,
    /// How it was done, for who asks for more than the result (`-v`).
    pub remarks: Vec<String>,
}

/// A process that was frozen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrozenProcess {
    /// Its pid.
    pub pid: i32,
    /// Its name (/proc/PID/comm).
    pub comm: String,
    /// Pages of 4 KiB that were read for it; those that it shares with its parent, and those of shared memory, are not counted.
    pub pages: u64,
}

/// What went wrong.
enum Failed {
    /// The copying of pages while the program ran. Where it stands is not known by that: who begins anew sees.
    Live(Error),
    /// A mapping may not have had the flags at the stop that were read before.
    Flags,
    /// Anything else.
    Freeze(Error),
}

impl Failed {
    fn error(self) -> Error {
        match self {
            Self::Live(e) | Self::Freeze(e) => e,
            // It is tried again, then with smaps as of the stop.
            Self::Flags => Refusal::new(RefusalKind::Internal, "the flags of a mapping were read too soon").into(),
        }
    }
}

impl<E: Into<Error>> From<E> for Failed {
    fn from(e: E) -> Self {
        Self::Freeze(e.into())
    }
}

/// Freezes process `pid`, with its descendants as [`Options::children`] says.
///
/// Call it in a process that is asked to end by SIGTERM and killed only in need (see [`cryo_tracee::guardian`]): the target survives either, but
/// only who is asked cleans up.
pub fn freeze(pid: i32, target: Target<'_>, options: &Options) -> Result<Frozen> {
    let _uninterrupted = Uninterrupted::begin();
    if let Some(keeper) = crate::keeper::Keeper::of(pid) {
        return keeper.freeze(pid, &target, options);
    }
    freeze_by(pid, target, options, &Traced::by_nobody())
}

/// The same for who traces the family of the process already. Whether that runs or stands still afterwards depends on how it went.
pub fn freeze_traced(pid: i32, target: Target<'_>, options: &Options, tracer: &mut dyn Tracer) -> Result<Frozen> {
    let _uninterrupted = Uninterrupted::begin();
    freeze_by(pid, target, options, &Traced::by(tracer))
}

fn freeze_by(pid: i32, mut target: Target<'_>, options: &Options, traced: &Traced<'_>) -> Result<Frozen> {
    // The kernel keeps the first process of a pid namespace from every signal that comes from inside: we could not end it, nor stop it, and all
    // that is in the namespace ends with it.
    if pid == 1 && options.afterwards != Afterwards::Run {
        return refuse(
            RefusalKind::Argument,
            "process 1 is the first one here, init or a container's own, which cannot be ended or stopped from inside: name the pid of your program; or, if that \
             is it, use --leave-running --only and end it from outside",
        );
    }
    let mut attempted = attempt(pid, &mut target, options, traced, Smaps::Before);
    if let Err(Failed::Flags) = attempted {
        attempted = attempt(pid, &mut target, options, traced, Smaps::AtTheStop);
    }
    match attempted {
        // Nobody has asked for a live freeze. Nothing is written yet, and nothing of it left: the program is stopped anew, and what is wrong with it is an error then.
        Err(Failed::Live(e)) if options.live == options::Live::Auto && !matches!(e, Error::Asked) => {
            let usual = Options { live: options::Live::Never, ..options.clone() };
            let mut frozen = attempt(pid, &mut target, &usual, traced, Smaps::AtTheStop).map_err(Failed::error)?;
            frozen.remarks.push(format!("not live: {e}"));
            Ok(frozen)
        }
        done => done.map_err(Failed::error),
    }
}

/// The freeze, in one go.
fn attempt(
    pid: i32,
    target: &mut Target<'_>,
    options: &Options,
    traced: &Traced<'_>,
    smaps: Smaps,
) -> std::result::Result<Frozen, Failed> {
    // All that can fail without the target is done first.
    let (files, output) = match &target {
        Target::Name(name) => (Some(OutputFiles::create(name, options.force)?), Some(set::paths(name)[2].1.clone())),
        Target::Pipe(_) => (None, None),
    };
    let open = |name| Parent::open(name, output.as_deref());
    let parent = traced.during(|| options.parent.as_deref().map(open).transpose())?;
    let owners = traced.during(|| parent.as_ref().map(Parent::owners).transpose())?.unwrap_or_default();
    let among = collect::family::check(pid, options.children, &options.also)?;
    let mut remarks = Vec::new();
    let mut live = begin_live((pid, &among), options, traced, parent.as_ref(), &mut remarks)?;
    let mut machine = traced.during(|| Machine::look(&among))?;
    let left = if options.children == Children::Leave { collect::family::left_behind(pid) } else { Vec::new() };
    not_asked_to_end()?;
    let mut collected = Collected::default();
    // Declared before the processes, and so dropped after them: a copy takes its last trace out of an original that runs again.
    let mut held = Held::default();
    if let Some(live) = &mut live {
        if smaps == Smaps::Before {
            traced.during(|| live.read_smaps());
        }
        live.round(traced).map_err(Failed::Live)?;
    }
    let (mut family, watches) = seize(pid, options, traced)?;
    machine.noticed = Noticed::look(&watches);
    if let Some(live) = &mut live {
        held.no_copies = live.is_shorter(&family);
    }
    held.live = live;
    for child in left {
        collected.note(format!("child {child}"), "left behind (--only)");
    }
    let pids: Vec<i32> = family.members.iter().map(cryo_tracee::Process::pid).collect();
    let done = collect::collect(&mut family, &mut machine, options, &mut collected, &mut held);
    // Declared after the family (both times), and so dropped before it: it must not run while a connection of its is quiet.
    let mut quiet = std::mem::take(&mut held.quiet);
    let mut contents = done.map_err(|e| e.if_ended(pids.iter().copied()))?;
    let view = traced.view();
    collect::history::collect(&contents.members, &view.histories, &mut collected);
    collect::seen::translate(&view.ids, &mut collected);
    not_asked_to_end()?;
    let mut live = held.live.take();
    if let Some(live) = live.as_mut().filter(|_| held.no_copies) {
        let memories: Vec<_> = family.members.iter().map(|member| &member.memory).collect();
        if collected.sections::<OpenFile>().any(|file| file.open_flags.0 & libc::O_DIRECT as u64 != 0) {
            live.distrust();
        }
        let stills: Vec<_> = memories.iter().map(|memory| Still::Process(memory)).collect();
        let last = contents.members.last().map_or(0, |member| member.id);
        // What members share is found by reading it.
        let parent = parent.as_ref().filter(|_| contents.forked.is_empty());
        let heirs = parent.map(|parent| parent.heirs(&contents, &collected)).transpose()?.unwrap_or_default();
        let parents = Parent::memories(&heirs, &owners);
        live.complete(&contents.runs(&stills), &memories, last, &parents).map_err(Failed::Live)?;
    }
    let family = if held.no_copies || contents.copied(&held).is_some() {
        quiet.clear();
        let since = family.members.first().map(|root| root.since);
        drop(family);
        if let Some(since) = since {
            remarks.push(format!("it stood still for {:.1} ms", since.elapsed().as_secs_f64() * 1e3));
        }
        None
    } else {
        Some(family)
    };
    // Who stands still is not looked after.
    let nobody = Traced::by_nobody();
    let traced = if family.is_some() { &nobody } else { traced };
    traced.attend();
    if let Some(live) = &mut live {
        if traced.during(|| live.flags_have_changed()) {
            return Err(Failed::Flags);
        }
        // What members share is found by reading it all.
        let lasts = held.no_copies && contents.forked.is_empty();
        traced.during(|| live.release(lasts));
        remarks.push(if held.no_copies { live.told() } else { "not live: to fork it is quicker".into() });
    }
    let live = live.filter(|_| held.no_copies);
    let copies = live.as_ref().map(Live::memories).or_else(|| contents.copied(&held));
    let mut quiet = quiet;
    let keeper = match options.afterwards {
        Afterwards::End if !quiet.is_empty() => Some(Keeper::start(&quiet, &held.door)?),
        _ => None,
    };
    let stopped = || family.iter().flat_map(|family| family.members.iter().map(|member| &member.memory));
    let memories = copies.unwrap_or_else(|| stopped().map(Still::Process).collect());
    if live.is_some() {
        traced.during(|| contents.fork(&memories, &mut collected))?;
    } else {
        // Who reads a process is to be its tracer.
        contents.fork(&memories, &mut collected)?;
    }
    let heirs =
        parent.as_ref().map(|parent| parent.collect(&contents, &mut collected)).transpose()?.unwrap_or_default();
    let parents = Parent::memories(&heirs, &owners);
    let mut runs = contents.runs(&memories);
    if let Some(live) = &live {
        live.read_copies(&mut runs);
    }
    let members = frozen(&contents, &runs);
    let writing = Writing { collected: &collected, runs: &runs, options, traced };
    let stands = family.is_some();
    let unread = |e: Error| if stands { e.if_ended(pids.iter().copied()) } else { e };
    let (path, set) = match (target, files) {
        (Target::Pipe(out), _) => {
            // A reader may let us wait for ever. A quiet connection must not be left to itself; of all else the kernel takes care.
            let _interruptible = quiet.is_empty().then(Interruptible::begin);
            (None, Some(writing.to_pipe(out, parents).map_err(unread)?))
        }
        (Target::Name(name), Some(files)) => {
            let (path, set) = writing.to_files(files, name, parents).map_err(unread)?;
            (Some(path), Some(set))
        }
        (Target::Name(_), None) => (None, None),
    };
    if options.afterwards == Afterwards::End {
        options.confirm.ask(path.as_deref().unwrap_or(Path::new(PIPE)))?;
    }
    match (options.afterwards, family) {
        (Afterwards::End, Some(family)) => {
            collect::before_kill(&held)?;
            family.kill()?;
            quiet.drain(..).for_each(Quiet::stay);
            if let Some(keeper) = keeper {
                let pid = keeper.stay()?;
                collected.note(
                    format!("process {pid} (cryo-tcp-keeper)"),
                    "keeps the peers waiting until the program is thawed here; end it to give them up",
                );
            }
        }
        (Afterwards::Stop, family) => {
            quiet.clear();
            members.iter().try_for_each(|member| cryo_tracee::signals::kill(member.pid, libc::SIGSTOP))?;
            drop(family);
            if members.len() > 1 {
                let pids: Vec<String> = members.iter().map(|member| member.pid.to_string()).collect();
                collected.note("family", format!("left stopped: kill -CONT {} lets it go on", pids.join(" ")));
            }
        }
        (_, family) => {
            quiet.clear();
            drop(family);
        }
    }
    if let (Some(live), Some(set)) = (live, set) {
        // If it cannot be, the next freeze has more to do.
        traced.remember(live.remember(set).unwrap_or_default());
    }
    Ok(Frozen { path, members, notes: collected.notes(), remarks })
}

/// Begins a live freeze of a process and those that are frozen with it, if one is asked for or expected to help. If not it is in `remarks` why.
fn begin_live(
    (pid, among): (i32, &[i32]),
    options: &Options,
    traced: &Traced<'_>,
    parent: Option<&Parent>,
    remarks: &mut Vec<String>,
) -> std::result::Result<Option<Live>, Failed> {
    let mut remembered = traced.take_remembered();
    let is_since = |r: &Remembered| parent.is_some_and(|parent| r.is_since(&parent.set()));
    let is_known = remembered.as_ref().is_some_and(is_since);
    let expected = match options.live {
        options::Live::Always => true,
        options::Live::Auto if options.afterwards == Afterwards::Run => {
            let is_traced = traced.is_traced();
            let why = traced.during(|| {
                if is_known {
                    None
                } else if options.keep_watch && is_traced {
                    forecast::lacks_memory(among)
                } else {
                    forecast::why_not(among, is_traced)
                }
            });
            remarks.extend(why.iter().map(|why| format!("not live: {why}")));
            why.is_none()
        }
        options::Live::Auto | options::Live::Never => false,
    };
    if !(is_known && expected) {
        remembered.take().into_iter().for_each(Remembered::forget);
    }
    if options.keep_watch && !traced.is_traced() {
        remarks.push("nothing is watched until the next freeze: that takes an overseer (overseer run)".into());
    }
    if !expected {
        return Ok(None);
    }
    traced.halt()?;
    let seized = collect::family::seize(pid, options.children, &options.also);
    let begun = seized.and_then(|family| Live::begin(family, options, traced, remembered.take()));
    let live = match begun.map_err(Failed::Live)? {
        Begun::Live(live) => Some(live),
        Begun::Not(why) => {
            remarks.push(format!("not live: {why}"));
            None
        }
    };
    traced.attend();
    Ok(live)
}

/// Stops the process, with its descendants if they shall be taken along; says what they watch files with, too.
fn seize(pid: i32, options: &Options, traced: &Traced<'_>) -> Result<(Family, Vec<Place>)> {
    let mut tries = 0;
    let (family, glance) = loop {
        traced.halt()?;
        let family = collect::family::seize(pid, options.children, &options.also)?;
        let glance = Glance::at(&family)?;
        // What was written to a terminal of theirs, and is not read yet, nobody could put back.
        if tries == UNREAD || !glance.unread()? {
            break (family, glance);
        }
        tries += 1;
        drop(family);
        traced.during(|| std::thread::sleep(Duration::from_millis(2)));
        not_asked_to_end()?;
    };
    if options.afterwards != Afterwards::Run {
        collect::family::may_be_signalled(&family)?;
    }
    Ok((family, glance.watches))
}

/// The members, with the number of pages of each in `runs`.
fn frozen(contents: &Contents, runs: &[Run<'_>]) -> Vec<FrozenProcess> {
    let mut pages: HashMap<u64, u64> = HashMap::new();
    for run in runs {
        *pages.entry(run.owner).or_default() += run.len / pages::PAGE;
    }
    let pages = |id| pages.get(id).copied().unwrap_or(0);
    let members = contents.members.iter();
    members.map(|m| FrozenProcess { pid: m.pid, comm: m.comm.clone(), pages: pages(&m.id) }).collect()
}
