//! The process that fills behind a program.
//!
//! It must not leave the program with pages of zeros, whoever kills it. Its page faults end with the last descriptor of them; so there is a second process with
//! the same table of descriptors, the guard, which ends the program when the filler has ended too soon. And when both have, the kernel kills the program before
//! it closes them ([`cryo_tracee::KillOnClose`]). Children that the program forks meanwhile are filled as it is; of these nobody knows the pid, and the
//! guard ends each when it touches what nobody can bring.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::time::Duration;

use cryo_format::section::touched::Touched;
use cryo_tracee::kill_on_close::BETWEEN;
use cryo_tracee::page_faults::{Brought, Message, PageFaults};
use cryo_tracee::{KillOnClose, background, fds, host, page_faults, signals};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Range;
use super::index::{Index, Reader};
use super::learn::Learning;
use super::space::Space;
use crate::Result;
use crate::error::About;
use crate::fill::PAGE;
use crate::options::Options;

/// Bytes that are brought at once, between two looks at who waits.
const STEP: u64 = 256 << 10;
/// The same for who waits.
const WAITED_FOR: u64 = 64 << 10;
/// How often the guard looks whether those who are left have ended.
const LOOK: Duration = Duration::from_millis(100);

/// Fills the memory of process `pid`, which is `id` in the image, and tells when it has begun. Returns the exit code.
pub fn run((pid, id): (i32, u64), faults: PageFaults, index: &Index<'_>, tell: File, options: &Options) -> i32 {
    let _ = rustix::thread::set_name(c"cryo-filler");
    let Some(say) = options.lazy else { return 1 };
    let learning = options.learn.as_deref().map(Learning::begin);
    match Filler::begin((pid, id), faults, index, (learning, say)).and_then(|filler| filler.fill(tell)) {
        Ok(learned) => {
            // All is there: what was learned is for others.
            if let Some(learned) = learned {
                say(&learned.write(index.image(), id).unwrap_or_else(|e| e.to_string()));
            }
            0
        }
        Err(e) => {
            say(&format!("{e}: the program cannot go on without this part of its memory, and is ended"));
            1
        }
    }
}

struct Filler<'a> {
    index: &'a Index<'a>,
    reader: Reader,
    spaces: Vec<Space>,
    killing: KillOnClose,
    /// Us, for the guard.
    own: OwnedFd,
    guard: OwnedFd,
    say: fn(&str),
    /// What an earlier thaw touched, the first last.
    first: Vec<Range>,
    /// Is it to be learned?
    learning: Option<Learning>,
}

impl<'a> Filler<'a> {
    fn begin(
        (pid, id): (i32, u64),
        faults: PageFaults,
        index: &'a Index<'a>,
        (learning, say): (Option<Learning>, fn(&str)),
    ) -> Result<Self> {
        let _ = background::Signals::block()?;
        host::raise_file_limit(std::process::id() as i32)?;
        let faults = faults.above(BETWEEN)?;
        let killing = KillOnClose::of(pid)?;
        let own = fds::pidfd(std::process::id() as i32)?;
        let guard = background::twin(|| guard(&own, &killing, say))?;
        let spaces = vec![Space::new(faults, index.ranges())];
        // Damaged, it is no reason not to bring the pages.
        let touched: Option<Touched> = index.image().get(id).ok().flatten();
        let touched = touched.iter().flat_map(|touched| &touched.ranges).rev();
        let first = touched.map(|r| (r.start.0, r.end.0)).collect();
        Ok(Self { index, reader: Reader::default(), spaces, killing, own, guard, say, first, learning })
    }

    /// Returns what was learned.
    fn fill(mut self, mut tell: File) -> Result<Option<Learning>> {
        tell.write_all(b"R").about(|| "telling that it is filled".into())?;
        drop(tell);
        while !self.spaces.is_empty() {
            for i in 0..self.spaces.len() {
                self.hear(i)?;
            }
            if self.waits_for_touches() {
                continue;
            }
            for i in (0..self.spaces.len()).rev() {
                if !self.advance(i)? {
                    // Nothing is missing, or nobody misses it. Disarmed first: who is killed between the two kills nobody.
                    if self.spaces[i].root {
                        self.killing.disarm();
                    }
                    self.spaces.swap_remove(i);
                }
            }
            if readable(&self.guard, Duration::ZERO) {
                self.guard = background::twin(|| guard(&self.own, &self.killing, self.say))?;
            }
        }
        Ok(self.learning)
    }

    /// Is nothing to be brought now? While it is learned, that is so until somebody waits for a page.
    fn waits_for_touches(&self) -> bool {
        let Some(left) = self.learning.as_ref().map(Learning::left).filter(|left| !left.is_zero()) else {
            return false;
        };
        if self.spaces.iter().any(|space| !space.waiting.is_empty()) {
            return false;
        }
        let all = self.spaces.iter().map(|space| PollFd::new(&space.faults, PollFlags::IN));
        let mut all: Vec<PollFd<'_>> = all.chain([PollFd::new(&self.guard, PollFlags::IN)]).collect();
        let touched = poll(&mut all, Timespec::try_from(left).ok().as_ref()).is_ok_and(|n| n > 0);
        // A guard that has ended is to be replaced, and memory that is gone to be found so.
        touched
            && all.iter().all(|one| (one.revents() - PollFlags::IN).is_empty())
            && all.last().is_some_and(|guard| guard.revents().is_empty())
    }

    /// Reads what the program has done, and who waits.
    fn hear(&mut self, i: usize) -> Result<()> {
        for message in self.spaces[i].faults.messages()? {
            let space = &mut self.spaces[i];
            match message {
                Message::Fault(at, _) => space.waiting.push(at),
                Message::Moved(from, to, len) => space.moved(from, to, len),
                Message::Gone(range) => space.done(range),
                Message::Forked(faults) => {
                    let child = space.forked(faults);
                    self.spaces.push(child);
                }
            }
        }
        Ok(())
    }

    /// Brings what is waited for, or else the next pages. False if there is nothing more to bring.
    fn advance(&mut self, i: usize) -> Result<bool> {
        let waiting = std::mem::take(&mut self.spaces[i].waiting);
        let waited_for = !waiting.is_empty();
        let learns = self.learning.as_ref().is_some_and(|learning| !learning.left().is_zero());
        for at in waiting {
            let stored = self.spaces[i].at(at);
            match self.bring(i, at, if learns { PAGE } else { WAITED_FOR })? {
                Brought::Changing => self.spaces[i].waiting.push(at),
                Brought::Ended => return Ok(false),
                Brought::Bytes(_) => {
                    if let Some(learning) = self.learning.as_mut().filter(|_| learns && self.spaces[i].root)
                        && let Some((origin, _)) = stored
                    {
                        learning.touched((origin, origin + PAGE));
                    }
                }
                Brought::There | Brought::Unmapped => {}
            }
        }
        if waited_for {
            return Ok(true);
        }
        if learns {
            return Ok(!self.spaces[i].faults.is_over());
        }
        let first = if self.spaces[i].root { self.first.pop() } else { None };
        if let Some((start, end)) = first {
            let Some(at) = self.spaces[i].next_in((start, end)) else { return Ok(true) };
            let brought = self.bring(i, at, STEP.min(end - at))?;
            // A part at a time: somebody may wait.
            let next = self.spaces[i].next;
            self.first.extend((at < next && next < end).then_some((next, end)));
            return Ok(brought != Brought::Ended);
        }
        let Some(next) = self.spaces[i].next() else { return Ok(false) };
        Ok(self.bring(i, next, STEP)? != Brought::Ended)
    }

    /// Brings the page at an address, and some of those behind it.
    fn bring(&mut self, i: usize, at: u64, most: u64) -> Result<Brought> {
        let space = &mut self.spaces[i];
        let Some((origin, len)) = space.at(at) else {
            return Ok(space.faults.zero(at)?);
        };
        let bytes = self.reader.read(self.index, origin, len.min(most))?;
        let brought = space.faults.copy(at, bytes)?;
        let end = match brought {
            Brought::Bytes(n) => at + n,
            Brought::There | Brought::Unmapped => at + PAGE,
            Brought::Changing | Brought::Ended => at,
        };
        space.done((at, end));
        space.next = end;
        Ok(brought)
    }
}

/// What the guard does: nothing, until the filler has ended.
fn guard(filler: &OwnedFd, killing: &KillOnClose, say: fn(&str)) -> i32 {
    let _ = rustix::thread::set_name(c"cryo-guard");
    while !readable(filler, Duration::MAX) {}
    let Ok(mut left) = page_faults::ours() else { return 1 };
    if left.is_empty() {
        return 0;
    }
    killing.kill();
    say("the process that fills the program's memory has ended before all of it was there: the program is ended, too");
    while !left.is_empty() {
        let mut born = Vec::new();
        for faults in &left {
            for message in faults.messages().unwrap_or_default() {
                match message {
                    Message::Fault(_, tid) => drop(signals::kill(tid, libc::SIGKILL)),
                    Message::Forked(child) => born.push(child),
                    Message::Moved(..) | Message::Gone(_) => {}
                }
            }
        }
        left.extend(born);
        left.retain(|faults| !faults.is_over());
        let mut waits: Vec<PollFd<'_>> = left.iter().map(|f| PollFd::new(f, PollFlags::IN)).collect();
        let _ = poll(&mut waits, Timespec::try_from(LOOK).ok().as_ref());
    }
    0
}

fn readable(fd: &OwnedFd, wait: Duration) -> bool {
    let mut fds = [PollFd::new(fd, PollFlags::IN)];
    poll(&mut fds, Timespec::try_from(wait).ok().as_ref()).is_ok_and(|n| n > 0)
}
