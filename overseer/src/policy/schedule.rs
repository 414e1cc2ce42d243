//! Decides while the program runs when it is frozen, and freezes it.

use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use cryo_format::section::outside::{FdRule, Instead};
use cryo_freeze::{Afterwards, Confirm, Frozen, Options};
use cryo_tracee::foreground::Besides;
use cryo_tracee::{fds, proc, signals};

use super::sets::{self, Sets};
use super::shutdown::{self, Lock};
use super::trigger::{self, Trigger};
use crate::cli::{Keeping, Then};
use crate::say;
use crate::watch::Watched;

/// What is known of a program that runs.
pub struct Schedule<'a> {
    keeping: &'a Keeping,
    sets: Option<&'a Sets>,
    watched: &'a mut Watched,
    options: Options,
    /// The last set, and how many there have been since one that was whole.
    last: Option<(PathBuf, u32)>,
    /// Was it said what is noted? Each set has it.
    noted: bool,
    /// When the next of the regular freezes is due.
    next: Option<Instant>,
    /// The levels that were reached when they were last looked at: each asks once, and again when it has not been reached meanwhile.
    reached: Vec<Trigger>,
    /// When the machine is looked at again.
    next_look: Instant,
    /// Makes the machine wait before it goes down, where that is a reason.
    lock: Option<Lock>,
    /// Signals that ask for a freeze, not yet obeyed.
    asked: Vec<i32>,
    /// The set into which it was frozen to end with that.
    pub frozen: Option<PathBuf>,
}

impl<'a> Schedule<'a> {
    /// For this program, which has just begun to run.
    pub fn new(watched: &'a mut Watched, keeping: &'a Keeping, sets: Option<&'a Sets>, lock: Option<Lock>) -> Self {
        let next = keeping.every.map(|every| Instant::now() + every);
        let options = keeping.freezing.options();
        Self {
            keeping,
            sets,
            watched,
            options,
            last: None,
            noted: false,
            next,
            reached: Vec::new(),
            next_look: Instant::now(),
            lock,
            asked: Vec::new(),
            frozen: None,
        }
    }

    /// Freezes it. False: it could not be frozen, and goes on.
    fn freeze(&mut self, why: &str, then: Then) -> bool {
        let afterwards = if then == Then::Exit { Afterwards::End } else { Afterwards::Run };
        let Some(sets) = self.sets else { return false };
        let mut options = Options { afterwards, ..self.options.clone() };
        let mut upon = 0;
        // The last one is whole: it is to be a set that needs no other.
        if self.keeping.incremental && then == Then::Continue {
            options.keep_watch = true;
            if let Some((last, before)) = self.last.take().filter(|(_, before)| before + 1 < WHOLE) {
                (options.parent, upon) = (Some(last), before + 1);
            }
        }
        let receiver = self.keeping.receiver();
        // Where it is sent before the program ends. The name that it got there comes from the process that freezes.
        let sent = match (&receiver, then) {
            (Some(receiver), Then::Exit) => {
                let receiver = receiver.clone();
                options.confirm = Confirm::by(move |set| {
                    let sent = receiver.send(set).map_err(|e| format!("{e:#}"));
                    sent.map(|there| say(&format!("sent, and verified there: {there}")))
                });
                None
            }
            (receiver, _) => receiver.as_ref(),
        };
        let frozen = sets.next().and_then(|name| Ok((self.try_for_a_while(&name, &options)?, name)));
        let name = match frozen {
            Ok((frozen, name)) => {
                for note in frozen.notes.iter().filter(|_| !self.noted) {
                    say(&format!("note: {note}"));
                }
                self.noted = true;
                name
            }
            Err(e) => {
                // One that has ended by itself needs no message.
                if self.runs() {
                    say(&format!("{why}: not frozen, the program goes on: {e:#}"));
                }
                return false;
            }
        };
        say(&format!("{why}: frozen: {}.freeze", name.display()));
        if let Some(receiver) = sent {
            match receiver.send(&name) {
                Ok(there) => say(&format!("sent, and verified there: {there}")),
                Err(e) => say(&format!("{e:#}; the program goes on, its set stays here")),
            }
        }
        let pruned = match sets::broken(&name) {
            None => {
                self.last = Some((name.clone(), upon));
                sets.prune(&name, self.keeping.keep)
            }
            Some(broken) => {
                say(&format!("{}: what was written is broken, older sets are kept: {broken}", name.display()));
                Ok(())
            }
        };
        if let Err(e) = pruned {
            say(&format!("{e:#}"));
        }
        if then == Then::Exit {
            self.frozen = Some(name);
        }
        true
    }
}

/// For so long it is tried again what was refused, after such pauses.
const PATIENCE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(20);
/// With --incremental one of so many sets is whole: all between it and the newest one have to be kept.
const WHOLE: u32 = 16;
impl Schedule<'_> {
    /// What stands in the way may be gone in a moment: a shell that redirects the output of one command has its own elsewhere.
    fn try_for_a_while(&mut self, name: &Path, options: &Options) -> Result<Frozen> {
        let begin = Instant::now();
        loop {
            let mut options = options.clone();
            options.links = standard(self.watched.pid());
            options.fds.extend(ours(self.watched.pid(), &options.fds));
            let frozen = self.watched.freeze(name, &options);
            // A set that was complete was not taken by whom it was sent to.
            let given_up = begin.elapsed() > PATIENCE || name.with_extension("freeze").exists();
            if frozen.is_ok() || given_up || !self.runs() {
                return frozen;
            }
            thread::sleep(PAUSE);
        }
    }

    fn runs(&self) -> bool {
        proc::state(self.watched.pid()).is_some_and(|state| !state.starts_with('Z'))
    }
}

/// So often the machine is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

impl Schedule<'_> {
    /// Looks at the machine if it is time to, and freezes for what has come to be so since. When it is to be looked at again, if ever.
    fn gauges(&mut self) -> Option<Instant> {
        let mut gauges = self.keeping.freeze_on.iter().filter(|trigger| trigger.signal().is_none()).peekable();
        gauges.peek()?;
        if self.next_look > Instant::now() {
            return Some(self.next_look);
        }
        let pid = self.watched.pid();
        let reached: Vec<Trigger> = gauges.filter(|trigger| trigger.is_due(pid)).copied().collect();
        let new = reached.iter().find(|trigger| !self.reached.contains(trigger)).copied();
        self.reached = reached;
        if let Some(trigger) = new {
            self.freeze(&trigger.to_string(), self.keeping.then);
        }
        self.next_look = Instant::now() + LOOK_EVERY;
        Some(self.next_look)
    }
}

impl Besides for Schedule<'_> {
    fn takes(&mut self, signal: i32) -> bool {
        let ours = self.keeping.freeze_on.iter().any(|trigger| trigger.signal() == Some(signal));
        if ours && !self.asked.contains(&signal) {
            self.asked.push(signal);
        }
        ours
    }

    fn look(&mut self) -> Option<Duration> {
        if self.frozen.is_some() {
            return None;
        }
        while let Some(signal) = self.asked.pop() {
            let shutdown = self.keeping.freeze_on.contains(&Trigger::Shutdown) && signal == shutdown::SIGNAL;
            let name = if shutdown { Trigger::Shutdown.to_string() } else { trigger::name(signal) };
            let frozen = self.freeze(&name, self.keeping.then);
            if shutdown {
                // Nothing more is to be done before the machine goes down.
                self.lock = None;
            } else if !frozen {
                // Who sent it wanted something of the program.
                let _ = signals::kill(self.watched.pid(), signal);
            }
            if self.frozen.is_some() {
                return None;
            }
        }
        let gauges = self.gauges();
        if self.frozen.is_some() {
            return None;
        }
        if let (Some(every), Some(next)) = (self.keeping.every, self.next)
            && next <= Instant::now()
        {
            self.freeze("time", Then::Continue);
            self.next = Some(Instant::now() + every);
        }
        self.next.into_iter().chain(gauges).min().map(|next| next.saturating_duration_since(Instant::now()))
    }
}

/// What the links of its standard descriptors say.
fn standard(pid: i32) -> Vec<(i32, Vec<u8>)> {
    let link = |fd: i32| {
        fs::read_link(format!("/proc/{pid}/fd/{fd}"))
            .map_or_else(|_| Vec::new(), |path| path.into_os_string().into_vec())
    };
    (0..3).map(|fd| (fd, link(fd))).collect()
}

/// Standard descriptors that the program has from us, and that are files: who continues it gives it others. (Terminals and pipes are so anyway.)
fn ours(pid: i32, rules: &[FdRule]) -> Vec<FdRule> {
    let own = std::process::id() as i32;
    let is_file = |fd: u32| fs::metadata(format!("/proc/self/fd/{fd}")).is_ok_and(|meta| meta.is_file());
    let from_us = |fd: &u32| {
        is_file(*fd) && FdRule::of(rules, *fd).is_none() && fds::is_description(pid, *fd as i32, own, *fd as i32)
    };
    (0..3).filter(from_us).map(|fd| FdRule { fd: Some(fd), instead: Instead::Inherit }).collect()
}
