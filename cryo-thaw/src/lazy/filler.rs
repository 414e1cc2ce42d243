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

use cryo_tracee::kill_on_close::BETWEEN;
use cryo_tracee::page_faults::{Brought, Message, PageFaults};
use cryo_tracee::{KillOnClose, background, fds, host, page_faults, signals};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::index::{Index, Reader};
use super::space::Space;
use crate::Result;
use crate::error::About;

/// Bytes that are brought at once, between two looks at who waits.
const STEP: u64 = 256 << 10;
/// The same for who waits.
const WAITED_FOR: u64 = 64 << 10;
const PAGE: u64 = 4096;
/// How often the guard looks whether those who are left have ended.
const LOOK: Duration = Duration::from_millis(100);

/// Fills the memory of process `pid`, and tells when it has begun. Returns the exit code.
pub fn run(pid: i32, faults: PageFaults, index: &Index<'_>, tell: File, say: fn(&str)) -> i32 {
    let _ = rustix::thread::set_name(c"cryo-filler");
    match Filler::begin(pid, faults, index, say).and_then(|filler| filler.fill(tell)) {
        Ok(()) => 0,
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
}

impl<'a> Filler<'a> {
    fn begin(pid: i32, faults: PageFaults, index: &'a Index<'a>, say: fn(&str)) -> Result<Self> {
        let _ = background::Signals::block()?;
        host::raise_file_limit(std::process::id() as i32)?;
        let faults = faults.above(BETWEEN)?;
        let killing = KillOnClose::of(pid)?;
        let own = fds::pidfd(std::process::id() as i32)?;
        let guard = background::twin(|| guard(&own, &killing, say))?;
        let spaces = vec![Space::new(faults, index.ranges())];
        Ok(Self { index, reader: Reader::default(), spaces, killing, own, guard, say })
    }

    fn fill(mut self, mut tell: File) -> Result<()> {
        tell.write_all(b"R").about(|| "telling that it is filled".into())?;
        drop(tell);
        while !self.spaces.is_empty() {
            for i in 0..self.spaces.len() {
                self.hear(i)?;
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
        Ok(())
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
        for at in waiting {
            match self.bring(i, at, WAITED_FOR)? {
                Brought::Changing => self.spaces[i].waiting.push(at),
                Brought::Ended => return Ok(false),
                _ => {}
            }
        }
        if waited_for {
            return Ok(true);
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
