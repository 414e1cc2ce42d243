//! A live freeze ([`crate::Live`]): pages are copied while the program runs, in rounds, and then it stands still for a moment, in which only what changed since is
//! copied, and everything else is collected.
//!
//! It is stopped twice: once for what has to be done inside it to watch its pages ([`cryo_tracee::write_watch`]), and once for the freeze itself. Whatever is
//! not watched (huge pages, what is shared, pages of mapped files that were written to) is copied at the second stop. What does not go this way
//! goes the way of every freeze, and why is said (`-v`). spec/rationale.md has why it is done so.

mod copied;
pub mod forecast;
mod member;
mod still;

use std::collections::BTreeMap;
use std::time::Duration;

use cryo_format::prim::Raw;
use cryo_tracee::proc::{self, Mapping, Status};
use cryo_tracee::{Family, Memory};

use copied::Range;
pub use copied::{Copied, Since};
use member::Member;
pub use still::Still;

use crate::Result;
use crate::error::not_asked_to_end;
use crate::options::{Afterwards, Options};
use crate::pages::{Parents, Run, Source};
use crate::tracer::Traced;

/// Less than that is copied at once as quickly as in rounds.
const LEAST: u64 = 8 << 20;
/// Rounds at most.
const ROUNDS: usize = 12;
/// Bytes that are copied in well under a millisecond: another round would not shorten the stop.
const FEW: u64 = 2 << 20;
/// To fork a process stops it for as long as it takes to copy this part of its small pages, and of its huge ones.
const FORK_SMALL: u64 = 12;
const FORK_HUGE: u64 = 300;

/// What came of the wish for one.
pub enum Begun {
    /// Its pages are being copied.
    Live(Live),
    /// It is frozen the usual way, because of this.
    Not(String),
}

/// A live freeze under way.
pub struct Live {
    members: Vec<Member>,
    /// Content of objects, by their local ids.
    objects: BTreeMap<u64, Copied>,
    /// Rounds, and bytes copied in them.
    rounds: usize,
    running: u64,
    /// Bytes copied while it stood still.
    still: u64,
    /// For how long it stood still to begin with.
    begun: Duration,
    /// Is the watch to last until the next freeze?
    lasting: bool,
}

/// When smaps is read of a program that is frozen live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Smaps {
    /// Before it stands still, and after, if nothing is seen of a change.
    Before,
    /// When it stands still.
    AtTheStop,
}

/// Memory that is watched from one freeze to the next: of a set that was made it is known what was written to since.
pub struct Remembered {
    set: SetId,
    members: Vec<Member>,
}

/// A set, by its id and the root of its .freeze.
pub type SetId = (Raw<16>, Raw<32>);

impl Remembered {
    /// Is it known what was written to since this set was made?
    pub fn is_since(&self, set: &SetId) -> bool {
        self.set == *set
    }

    /// Ends the watch.
    pub fn forget(mut self) {
        self.members.iter_mut().for_each(Member::release);
    }
}

impl Live {
    /// Lets these processes, which stand still, go on, and copies their pages until another round would bring nothing.
    ///
    /// Of those that are `remembered` only what was written to since is copied: the set that it is known of is the parent of the new one.
    pub(crate) fn begin(
        family: Family,
        options: &Options,
        traced: &Traced<'_>,
        remembered: Option<Remembered>,
    ) -> Result<Begun> {
        if options.afterwards != Afterwards::Run {
            return Ok(Begun::Not("the program does not go on afterwards (--leave-running)".into()));
        }
        let lasting = options.keep_watch && traced.is_traced();
        let mut live = Self {
            members: Vec::new(),
            objects: BTreeMap::new(),
            rounds: 0,
            running: 0,
            still: 0,
            begun: Duration::ZERO,
            lasting,
        };
        match live.watch(family, traced, remembered)? {
            Some(why) => Ok(Begun::Not(why)),
            None => Ok(Begun::Live(live)),
        }
    }

    /// Begins; says why not.
    fn watch(
        &mut self,
        mut family: Family,
        traced: &Traced<'_>,
        remembered: Option<Remembered>,
    ) -> Result<Option<String>> {
        let mut known = remembered.map_or_else(Vec::new, |remembered| remembered.members);
        for process in &mut family.members {
            if let Some(why) = member::unsuited(process)? {
                return Ok(Some(why));
            }
            let at = known.iter().position(|member| member.is(process.pid()));
            let begun = match at {
                Some(at) => known.swap_remove(at).resume(process),
                None => Member::begin(process),
            };
            match begun {
                Ok(member) => self.members.push(member),
                Err(e) => return Ok(Some(e.to_string())),
            }
        }
        let since = family.members.first().map(|root| root.since);
        drop(family);
        self.begun = since.map_or(Duration::ZERO, |since| since.elapsed());
        traced.attend();
        not_asked_to_end()?;
        let mut left = Vec::with_capacity(self.members.len());
        for mut member in std::mem::take(&mut self.members) {
            let aside = own(member.pid).saturating_sub(member.watched);
            let prepared = traced.during(|| member.writes_unseen().and_then(|why| member.prepare(aside).map(|()| why)));
            match prepared {
                Ok(None) => left.push(member),
                Ok(Some(why)) => return Ok(Some(why)),
                // A child that has ended meanwhile.
                Err(_) if proc::state(member.pid).is_none_or(|state| state.starts_with(['Z', 'X'])) => {}
                Err(e) => return Ok(Some(e.to_string())),
            }
        }
        self.members = left;
        let watched: u64 = self.members.iter().map(|m| m.watched).sum();
        if watched < LEAST {
            return Ok(Some("it has too little memory of its own in small pages for that to be shorter".into()));
        }
        if watched > forecast::available() {
            return Ok(Some("there is no memory free for a copy".into()));
        }
        self.rounds(traced)?;
        Ok(None)
    }

    fn rounds(&mut self, traced: &Traced<'_>) -> Result<()> {
        let mut last = u64::MAX;
        while self.rounds < ROUNDS {
            let bytes = self.round(traced)?;
            if bytes < FEW || bytes > last / 4 * 3 {
                break;
            }
            last = bytes;
        }
        Ok(())
    }

    /// Copies what was written to since the last round.
    pub(crate) fn round(&mut self, traced: &Traced<'_>) -> Result<u64> {
        not_asked_to_end()?;
        let mut bytes = 0;
        for member in &mut self.members {
            match member.round(traced) {
                // It may have ended, or executed another program: that is seen when all stand still.
                Err(crate::Error::Tracee(_)) => {}
                other => bytes += other?,
            }
        }
        self.rounds += 1;
        self.running += bytes;
        Ok(bytes)
    }

    /// All stand still: is the rest copied sooner than they are forked?
    pub fn is_shorter(&mut self, family: &Family) -> bool {
        let mut known = std::mem::take(&mut self.members);
        let (mut rest, mut fork) = (0, 0);
        for process in &family.members {
            let at = known.iter().position(|member| member.is(process.pid()));
            let mut member = at.map_or_else(|| Member::new(process.pid()), |at| known.swap_remove(at));
            let stale = member.look(self.lasting);
            let watched: u64 = if member.copied.areas.is_empty() { 0 } else { member.watched };
            let own = own(process.live_tid());
            rest += stale.max(own.saturating_sub(watched));
            fork += own.saturating_sub(member.huge) / FORK_SMALL + member.huge / FORK_HUGE;
            self.members.push(member);
        }
        let shorter = rest <= fork.max(FEW);
        if !shorter {
            self.members.iter_mut().for_each(Member::forget_smaps);
        }
        shorter
    }

    /// Reads smaps of all while they run: the kernel looks at each page for that, which would take longer than all the rest of a stop.
    pub fn read_smaps(&mut self) {
        self.members.iter_mut().for_each(Member::read_smaps);
    }

    /// The mappings of a member that stands still, if they are as they were when it ran.
    pub fn mappings(&self, pid: i32, tid: i32) -> Option<Vec<Mapping>> {
        self.members.iter().find(|member| member.pid == pid)?.mappings(tid)
    }

    /// All run again: has a mapping other flags than were taken for those that it had when it stood still?
    pub fn flags_have_changed(&self) -> bool {
        self.members.iter().any(Member::flags_have_changed)
    }

    /// The mappings of a member, as they are without us.
    pub fn unmark(&self, pid: i32, maps: Vec<Mapping>) -> Vec<Mapping> {
        match self.members.iter().find(|member| member.pid == pid) {
            Some(member) => member.unmark(maps),
            None => maps,
        }
    }

    /// Takes nothing for copied: the program has come by something whose writes go unseen.
    pub fn distrust(&mut self) {
        self.members.iter_mut().for_each(|member| member.copied.areas.clear());
    }

    /// Copies what is missing of `runs`, while all stand still. `memories` are the members', the last of which has the local id `last`; `parents` have what they
    /// have in the set since which it is known what was written to.
    pub fn complete(&mut self, runs: &[Run<'_>], memories: &[&Memory], last: u64, parents: &Parents<'_>) -> Result<()> {
        let mut owners = vec![0; memories.len()];
        let mut wanted: Vec<Vec<Range>> = memories.iter().map(|_| Vec::new()).collect();
        for run in runs {
            match run.source {
                Source::Memory(Still::Process(memory), shift) => {
                    let Some(i) = memories.iter().position(|m| std::ptr::eq(*m, memory)) else { continue };
                    let start = run.start.wrapping_add_signed(shift);
                    wanted[i].push((start, start + run.len));
                    // An object that is read through a mapping of it is no memory of its own.
                    if run.owner <= last {
                        owners[i] = run.owner;
                    }
                }
                // A file that only the program can still write to; others are what is at their path.
                Source::File(file, offset) if run.owner > last => {
                    let copied = self.objects.entry(run.owner).or_default();
                    copied.add(run.start, run.len as usize, |room| crate::pages::read_file(file, offset, room))?;
                    self.still += run.len;
                }
                Source::Memory(..) | Source::File(..) => {}
            }
        }
        self.objects.values_mut().for_each(Copied::complete);
        for (i, ((member, wanted), memory)) in self.members.iter_mut().zip(wanted).zip(memories).enumerate() {
            let wanted = cryo_format::ranges::joined(wanted);
            member.copy_lacking(&wanted, parents.get(&owners[i]));
            self.still += member.copy(memory, &wanted)?;
        }
        Ok(())
    }

    /// What was copied of each member.
    pub fn memories(&self) -> Vec<Still<'_>> {
        self.members.iter().map(|member| Still::Copied(&member.copied)).collect()
    }

    /// Has these runs read what was copied, where a file was.
    pub fn read_copies<'a>(&'a self, runs: &mut [Run<'a>]) {
        for run in runs {
            if let (Source::File(..), Some(copied)) = (run.source, self.objects.get(&run.owner)) {
                run.source = Source::Memory(Still::Copied(copied), 0);
            }
        }
    }

    /// Ends the watch, while the program runs, unless it is to last and can (`lasts`).
    pub fn release(&mut self, lasts: bool) {
        self.lasting &= lasts;
        if !self.lasting {
            self.members.iter_mut().for_each(Member::release);
        }
    }

    /// Everything is in this set now: what is written to from the moment of the freeze on is remembered, if it is to be.
    pub fn remember(mut self, set: SetId) -> Result<Option<Remembered>> {
        if !self.lasting {
            return Ok(None);
        }
        self.members.iter_mut().try_for_each(Member::set_made)?;
        Ok(Some(Remembered { set, members: self.members }))
    }

    /// What was done, for people.
    pub fn told(&self) -> String {
        let mib = |bytes: u64| format!("{}.{} MiB", bytes >> 20, ((bytes & 0xf_ffff) * 10) >> 20);
        format!(
            "live: {} copied while it ran, in {} rounds, and {} while it stood still; to begin it had stood still for {:.1} ms",
            mib(self.running),
            self.rounds,
            mib(self.still),
            self.begun.as_secs_f64() * 1e3
        )
    }
}

/// Bytes that a process has as its own, or shares as memory.
fn own(tid: i32) -> u64 {
    let Ok(status) = Status::of(tid) else { return u64::MAX };
    ["RssAnon", "RssShmem", "VmSwap"].iter().filter_map(|key| status.number(key)).sum::<u64>() << 10
}
