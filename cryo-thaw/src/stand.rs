//! Thawing a set here, and standing before the program as if we were it.

use cryo_tracee::foreground::{self as wait, ForegroundTerminal};
use cryo_tracee::namespace::{self, Runs, Start};
use cryo_tracee::signals;
use cryo_tracee::tracees::Tracees;

use crate::error::{About, Error};
use crate::foreground::{Foreground, Handover};
use crate::ice::Ice;
use crate::ids::{self, Ids};
use crate::options::Options;
use crate::{Handed, Ready, Result, check, thaw};

/// What a thaw has to say, to whoever asked for it.
pub trait Voice {
    /// The notes that have come together go to them: the program runs.
    fn notes(&self);
    /// They go to nobody: it does not.
    fn forget(&self);
    /// A line.
    fn say(&self, line: &str);
    /// There will be no program. Returns the exit status for that.
    fn complain(&self, e: Error) -> i32;
}

/// Watches a program that is thawed, in the process that does it ([`Options::watch`]): called before it runs, it returns what that process does from then on,
/// and the exit status of that.
pub type Keep<'a> = Box<dyn FnOnce(Tracees, Vec<Handed>) -> Result<Box<dyn FnOnce() -> i32>> + 'a>;

/// How somebody stands before a program.
pub struct Stand<'a> {
    /// The choices.
    pub options: &'a Options,
    /// Until the last of the processes has ended, and not the root alone.
    pub to_the_last: bool,
    /// To whom it may concern.
    pub voice: &'a dyn Voice,
    /// Tells the pid, and what is to be said of it; true if that was all, and nobody waits for the program.
    pub announce: Box<dyn FnMut(i32, Option<String>) -> bool + 'a>,
    /// Who watches it, if [`Options::watch`] says that it is watched.
    pub keep: Option<Keep<'a>>,
}

/// Thaws a set, and stands before the program until it ends. Returns its exit status.
pub fn stand(ice: Ice, stand: Stand<'_>) -> Result<i32> {
    let Stand { options, to_the_last, voice, mut announce, keep } = stand;
    check::rights(&ice, options)?;
    let decision = ids::decide(&ice, options.pid)?;
    let ids = decision.ids;
    let waiting = waiting(&ice, options);
    let foreground = Foreground::find(&ice, options);
    let mut handover = foreground.clone().and_then(Handover::new);
    let Ids::Namespace(worker) = ids else {
        if to_the_last {
            // Whose parent ends is ours then.
            let set = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
            set.about(|| "becoming the parent of orphans".into())?;
        }
        let thawed = if keep.is_some() {
            let inside = |start: &mut Start| {
                inside(start, || thaw(ice, ids, options, foreground.as_ref()), keep, (voice, &waiting))
            };
            namespace::beside(inside)?
        } else {
            let ready = thaw(ice, ids, options, foreground.as_ref())?;
            // From here on signals are the program's.
            signals::hold();
            voice.notes();
            let pids = standing(&ready, &waiting);
            let thawed = ready.run();
            say_waiting(voice, pids);
            Ok(thawed.pid)
        };
        let pid = match thawed {
            Ok(pid) => pid,
            Err(code) => return Ok(code),
        };
        if announce(pid, decision.words(pid)) {
            return Ok(0);
        }
        if let Some(t) = &mut handover {
            t.began(pid);
        }
        let code = wait::wait_for(pid, handover.as_mut().map(|t| t as &mut dyn ForegroundTerminal))?;
        if to_the_last {
            wait::wait_for_rest()?;
        }
        return Ok(code);
    };
    let inside = |start: &mut Start| inside(start, || thaw(ice, ids, options, foreground.as_ref()), keep, (voice, &[]));
    let mut namespace = match namespace::enter(worker, inside)? {
        Ok(namespace) => namespace,
        Err(code) => return Ok(code),
    };
    let inner: Vec<i32> = waiting.into_iter().flatten().collect();
    say_waiting(voice, namespace.outside(&inner));
    if announce(namespace.pid, decision.words(namespace.pid)) {
        return Ok(0);
    }
    if let Some(t) = &mut handover {
        t.began(namespace.pid);
    }
    let terminal = handover.as_mut().map(|t| t as &mut dyn ForegroundTerminal);
    let code = wait::wait_for_namespace(&mut namespace, terminal)?;
    if to_the_last {
        wait::wait_for_rest_of(&mut namespace)?;
    }
    Ok(code)
}

/// What the process does that thaws, where it is not we: it waits for the word, lets the program run, and stays where it is to watch it.
fn inside(
    start: &mut Start,
    thaw: impl FnOnce() -> Result<Ready>,
    keep: Option<Keep<'_>>,
    (voice, waiting): (&dyn Voice, &[Option<i32>]),
) -> std::result::Result<Runs, i32> {
    let made = thaw().and_then(|mut ready| {
        let handed = ready.handed();
        let root = handed.first().map_or(0, |root| root.pid);
        let stay = keep.map(|keep| keep(Tracees::of(root), handed)).transpose()?;
        start.wait()?;
        Ok((ready, stay))
    });
    let (ready, stay) = made.map_err(|e| voice.complain(e))?;
    if stay.is_some() {
        // What is sent to the group that we are in yet is not for us.
        signals::hold();
    }
    voice.notes();
    let pids = standing(&ready, waiting);
    let thawed = if stay.is_some() { ready.hand_over() } else { ready.run() };
    say_waiting(voice, pids);
    Ok(Runs { pid: thawed.pid, stay })
}

/// Of each process of the image, in its order: its pid there, if it is --stopped alone by which it stands still, and no stop that it was frozen in.
fn waiting(ice: &Ice, options: &Options) -> Vec<Option<i32>> {
    let processes = ice.processes().into_iter();
    processes.map(|(_, p)| (options.stopped && p.stopped_by == 0).then_some(p.pid as i32)).collect()
}

/// Of those the pids here.
fn standing(ready: &Ready, waiting: &[Option<i32>]) -> Vec<i32> {
    ready.pids().zip(waiting).filter_map(|(pid, waits)| waits.map(|_| pid)).collect()
}

/// SIGCONT is for one process: who lets the root of a family go on has to let the others go on, too.
fn say_waiting(voice: &dyn Voice, mut pids: Vec<i32>) {
    if pids.len() > 1 {
        pids.sort_unstable();
        let pids: Vec<String> = pids.iter().map(ToString::to_string).collect();
        voice.say(&format!("its processes wait to be let go on, each by itself: kill -CONT {}", pids.join(" ")));
    }
}
