//! When a family is frozen, where its sets are kept, and what becomes of it then.
//!
//! A program is started, or continued from a set ([`thaw`]); signals, time and the machine ([`trigger`], [`gauges`], [`shutdown`]) say when it is frozen (`schedule`) into a
//! directory ([`sets`]), and a set may be sent to another [`place`], where it is [received](receive).

pub mod gauges;
pub mod place;
pub mod receive;
mod schedule;
pub mod sets;
pub mod show;
pub mod shutdown;
pub mod thaw;
pub mod trigger;

use std::fs;
use std::io::{BufReader, ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use cryo_format::section::outside::FdRule;
use cryo_format::set;
use cryo_tracee::{foreground, proc, signals};

use crate::cli::{Keeping, Receive, Resume, Run};
use crate::say;
use crate::watch::Watched;
use schedule::Schedule;
use sets::Sets;
use shutdown::Lock;
use trigger::Trigger;

/// `overseer run`: returns the exit status.
pub fn run(run: &Run) -> Result<i32> {
    let keeping = &run.keeping;
    has_place(keeping)?;
    has_parent(keeping)?;
    let sets = keeping.dir.as_deref().map(|dir| Sets::open(dir, true)).transpose()?;
    tell_unready(keeping);
    signals::hold();
    let lock = lock(keeping)?;
    let set = match &sets {
        Some(sets) if run.resume_if_any => sets.newest()?,
        _ => None,
    };
    let mut watched = match set {
        Some(set) => {
            say(&format!("continues {}", set.display()));
            thaw::thaw(&set, &keeping.thawing, &run.watching)?
        }
        None => {
            if sets.is_some() {
                tell_inherited(keeping);
            }
            match Watched::start(&run.program, &run.watching) {
                Err(e) => return not_started(&e),
                started => started?,
            }
        }
    };
    let code = stand_by(&mut watched, keeping, sets.as_ref(), lock)?;
    // It is done: the same line, started again, begins anew.
    if let (Some(0), true, Some(sets)) = (code.own, run.resume_if_any, &sets) {
        sets.clear()?;
    }
    Ok(code.ours)
}

/// `overseer resume`: returns the exit status.
pub fn resume(resume: &Resume) -> Result<i32> {
    let keeping = &resume.keeping;
    let single = single(&resume.from);
    if single.is_some() {
        has_place(keeping)?;
    }
    has_parent(keeping)?;
    let sets = if single.is_none() { Some(Sets::open(&resume.from, false)?) } else { None };
    let into = keeping.dir.as_deref().map(|dir| Sets::open(dir, true)).transpose()?;
    tell_unready(keeping);
    signals::hold();
    let lock = lock(keeping)?;
    let set = match &sets {
        Some(sets) => sets.newest()?,
        None => single,
    };
    let Some(set) = set else { bail!("{}: no complete set is there", resume.from.display()) };
    if let (None, Some(broken)) = (&sets, sets::broken(&set)) {
        bail!("{}: {broken}", resume.from.display());
    }
    say(&format!("continues {}", set.display()));
    let mut watched = thaw::thaw(&set, &keeping.thawing, &resume.watching)?;
    Ok(stand_by(&mut watched, keeping, into.as_ref().or(sets.as_ref()), lock)?.ours)
}

/// The name of a set that is given by itself, NAME or NAME.freeze, and not by a directory.
fn single(from: &Path) -> Option<PathBuf> {
    let [.., (_, freeze)] = set::paths(from);
    (!from.is_dir() && (freeze == from || freeze.exists())).then(|| freeze.with_extension(""))
}

/// A parent that is not there would be missed at the first freeze only.
fn has_parent(keeping: &Keeping) -> Result<()> {
    let freeze = keeping.freezing.options().parent.map(|name| set::paths(&name)[2].1.clone());
    match freeze.filter(|freeze| !freeze.exists()) {
        Some(freeze) => bail!("--parent: there is no {}", freeze.display()),
        None => Ok(()),
    }
}

/// Is there a place for sets, if some are to be made?
fn has_place(keeping: &Keeping) -> Result<()> {
    if keeping.dir.is_none() && (keeping.every.is_some() || !keeping.freeze_on.is_empty() || keeping.to.is_some()) {
        bail!("--every, --freeze-on and --to need --dir DIR, where the sets are kept");
    }
    Ok(())
}

/// `overseer receive`: returns the exit status.
pub fn take(receive: &Receive) -> Result<i32> {
    if receive.ready {
        Sets::open(&receive.dir, true)?;
        return Ok(0);
    }
    let name = receive::receive(BufReader::new(std::io::stdin().lock()), &receive.dir, receive.keep)?;
    std::io::stdout().write_all(format!("{}.freeze\n", name.display()).as_bytes())?;
    Ok(0)
}

/// How it came out.
struct Code {
    /// The program's own status; none if it was frozen.
    own: Option<i32>,
    /// The overseer's.
    ours: i32,
}

/// Stands before the program until it ends.
fn stand_by(watched: &mut Watched, keeping: &Keeping, sets: Option<&Sets>, lock: Option<Lock>) -> Result<Code> {
    let child = watched.child();
    let mut schedule = Schedule::new(watched, keeping, sets, lock);
    let code = foreground::wait_besides(child, None, &mut schedule)?;
    Ok(match schedule.frozen {
        Some(_) => Code { own: None, ours: keeping.exit_code.into() },
        None => Code { own: Some(code), ours: code },
    })
}

/// What makes the machine wait before it goes down, if that is a reason to freeze.
fn lock(keeping: &Keeping) -> Result<Option<Lock>> {
    keeping.freeze_on.contains(&Trigger::Shutdown).then(Lock::take).transpose()
}

/// Says early that sets cannot be sent. It is tried all the same when the time comes: another machine may be back by then.
fn tell_unready(keeping: &Keeping) {
    if let Some(Err(e)) = keeping.receiver().map(|receiver| receiver.ready()) {
        say(&format!("no set can be sent now: {e:#}"));
    }
}

/// Says early what would be a reason not to freeze hours later: pipes and sockets that we were given, beyond the standard descriptors, and hand on.
fn tell_inherited(keeping: &Keeping) {
    let rules = keeping.freezing.options().fds;
    for fd in proc::descriptors(std::process::id() as i32).unwrap_or_default().into_iter().filter(|fd| *fd > 2) {
        let link = fs::read_link(format!("/proc/self/fd/{fd}")).unwrap_or_default();
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).unwrap_or_default();
        let flags = info.lines().find_map(|line| i32::from_str_radix(line.strip_prefix("flags:")?.trim(), 8).ok());
        let handed_on = flags.is_some_and(|flags| flags & libc::O_CLOEXEC == 0);
        let outside = link.to_str().is_some_and(|link| link.starts_with("pipe:") || link.starts_with("socket:"));
        let ruled = FdRule::of(&rules, fd as u32).or(FdRule::outside(&rules)).is_some();
        if handed_on && outside && !ruled {
            let link = link.display();
            say(&format!(
                "fd {fd} ({link}) leads outside: a program that keeps it cannot be frozen: close it ({fd}>&-), or use --fd {fd}=null"
            ));
        }
    }
}

/// As a shell says it: 127 there is no such program, 126 it cannot be run.
fn not_started(e: &anyhow::Error) -> Result<i32> {
    say(&format!("{e:#}"));
    let kind = e.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    Ok(if kind == Some(ErrorKind::NotFound) { 127 } else { 126 })
}
