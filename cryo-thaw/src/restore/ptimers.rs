//! `PTIM`: POSIX timers. They are made early, with their ids, and armed late.
//!
//! An expiration in the past, counted from now in whole intervals, makes the kernel itself produce what it had: a pending signal for which the
//! timer waits, a number of overruns, and the old beat.

use std::time::Duration;

use cryo_format::section::pending::Pending;
use cryo_format::section::ptimers::{Ptimer, Ptimers};
use cryo_tracee::{Batch, Host};

use crate::Result;
use crate::error::{Doing, RefusalKind, reason, refuse};
use crate::ice::Ice;

const PR_TIMER_CREATE_RESTORE_IDS: u64 = 77;
const SI_TIMER: i32 = -2;
const SIGEV_NONE: u32 = 1;
/// Without that prctl ids can only be counted up to: for how many timers that have been we have patience.
const PATIENCE: u32 = 1 << 20;

/// A process's timers and its threads' local ids.
pub struct Timers<'a> {
    timers: &'a [Ptimer],
    ids: Vec<u64>,
    /// Ids of the timers whose signals are pending.
    pending: Vec<u32>,
    /// Ids of the timers that run already.
    armed: Vec<u32>,
}

impl<'a> Timers<'a> {
    /// Those of process `id`, whose threads have these local ids.
    pub fn of(ice: &'a Ice, id: u64, ids: Vec<u64>) -> Self {
        let timers = ice.get::<Ptimers>(id).map_or(&[][..], |p| &p.timers);
        let mut these = Self { timers, ids, pending: Vec::new(), armed: Vec::new() };
        let owners = [id].into_iter().chain(these.ids.iter().copied());
        let signals = owners.filter_map(|owner| ice.get::<Pending>(owner)).flat_map(|p| p.signals.iter());
        these.pending = signals.filter_map(|info| these.made(info)).collect();
        these
    }

    /// Which timer with an interval made this signal?
    fn made(&self, info: &[u8]) -> Option<u32> {
        let word = |at: usize| info.get(at..at + 4)?.try_into().ok().map(i32::from_le_bytes);
        let (signal, code, id) = (word(0)?, word(8)?, word(16)?);
        let is = |t: &&Ptimer| t.id == id as u32 && t.signal == signal as u32 && t.interval_ns != 0 && t.value_ns != 0;
        self.timers.iter().find(is).filter(|_| code == SI_TIMER).map(|t| t.id)
    }

    /// The pending signals but those that a timer will make again.
    pub fn others(&self, pending: &Pending) -> Pending {
        Pending { signals: pending.signals.iter().filter(|info| self.made(info).is_none()).cloned().collect() }
    }

    fn place(&self, thread: u64, timer: u32) -> Result<usize> {
        match self.ids.iter().position(|id| *id == thread) {
            Some(i) => Ok(i),
            None if thread == 0 => Ok(0),
            None => refuse(
                RefusalKind::Image,
                format!("POSIX timer {timer}: its thread (local id {thread}) is not in the image"),
            ),
        }
    }

    /// Makes them, not armed. All threads are there.
    pub fn create(&mut self, host: &mut Host) -> Result<()> {
        if self.timers.is_empty() {
            return Ok(());
        }
        let exact = host.call(libc::SYS_prctl, [PR_TIMER_CREATE_RESTORE_IDS, 1, 0, 0, 0, 0]).is_ok();
        let mut next = 0;
        for t in self.timers {
            if !exact {
                count_up(host, &mut next, t.id)?;
            }
            let got = self.make(host, t)?;
            if got != t.id {
                return refuse(
                    RefusalKind::Timer,
                    format!("POSIX timer {} would become {got}: this kernel gives out ids in another order", t.id),
                );
            }
            if t.overrun > 0 && t.interval_ns > 0 && !self.pending.contains(&t.id) && self.overrun(host, t)? {
                self.armed.push(t.id);
            }
        }
        if exact {
            host.call(libc::SYS_prctl, [PR_TIMER_CREATE_RESTORE_IDS, 0, 0, 0, 0, 0])
                .doing(|| "ending the choice of ids for POSIX timers".into())?;
        }
        Ok(())
    }

    /// timer_create(2), by the thread whose CPU time it measures if there is one; returns its id.
    fn make(&self, host: &mut Host, t: &Ptimer) -> Result<u32> {
        let target = if t.notify == Ptimer::THREAD_ID {
            host.remote_at(self.place(t.thread, t.id)?)?.call(libc::SYS_gettid, [0; 6]).doing(|| named(t))?
        } else {
            0
        };
        let mut remote = host.remote_at(self.place(t.clock_thread, t.id)?)?;
        let mut batch = remote.batch();
        let mut event = t.value.0.to_le_bytes().to_vec();
        for word in [t.signal, t.notify, target as u32] {
            event.extend_from_slice(&word.to_le_bytes());
        }
        event.resize(64, 0);
        let event = batch.put(&event);
        let id = batch.put(&t.id.to_le_bytes());
        let call = batch.call(libc::SYS_timer_create, &[t.clock as u64, event.addr, id.addr]);
        let done = remote.run(batch)?;
        if let Err(e) = done.result(call) {
            return refuse(RefusalKind::Timer, format!("POSIX timer {} (clock {}): {}", t.id, t.clock, reason(&e)));
        }
        Ok(done.bytes(id).try_into().map_or(0, u32::from_le_bytes))
    }

    /// Lets it expire as often as it had, and takes the signal. Not if the clock does not reach back so far.
    fn overrun(&self, host: &mut Host, t: &Ptimer) -> Result<bool> {
        let back = t.interval_ns.saturating_mul(t.overrun.saturating_add(1));
        let next = self.now(host, t)?.saturating_add(t.value_ns);
        let Some(at) = next.checked_sub(back).filter(|at| *at > 0) else { return Ok(false) };
        let mut remote = host.remote_at(self.place(t.thread, t.id)?)?;
        let mut batch = remote.batch();
        settime(&mut batch, t, at, true);
        let set = batch.put(&(1_u64 << (t.signal.clamp(1, 64) - 1)).to_le_bytes());
        let none = batch.space(16);
        batch.call(libc::SYS_rt_sigtimedwait, &[set.addr, 0, none.addr, 8]);
        remote.run(batch)?.all().doing(|| named(t))?;
        Ok(true)
    }

    /// Arms them: one of the last things. `elapsed` is how much time in the ice is counted.
    pub fn arm(&self, host: &mut Host, elapsed: Duration) -> Result<()> {
        for t in self.timers.iter().filter(|t| t.value_ns != 0) {
            let pending = self.pending.contains(&t.id);
            if self.armed.contains(&t.id) && elapsed.is_zero() {
                continue;
            }
            // CPU clocks stand still in the ice.
            let elapsed = if t.clock < 0 { 0 } else { elapsed.as_nanos() as u64 };
            let back = elapsed.saturating_add(if pending { t.interval_ns } else { 0 });
            let (at, absolute) = match t.value_ns.checked_sub(back) {
                Some(left) if left > 0 => (left, false),
                // Once, at once.
                _ if t.interval_ns == 0 => (1, t.notify == SIGEV_NONE),
                _ => past(self.now(host, t)?.saturating_add(t.value_ns), back, t.interval_ns),
            };
            let mut batch = host.batch()?;
            settime(&mut batch, t, at, absolute);
            host.run(batch)?.all().doing(|| named(t))?;
        }
        Ok(())
    }

    /// What its clock shows in the host, in nanoseconds.
    fn now(&self, host: &mut Host, t: &Ptimer) -> Result<u64> {
        let mut remote = host.remote_at(self.place(t.clock_thread, t.id)?)?;
        let mut batch = remote.batch();
        let slot = batch.space(16);
        batch.call(libc::SYS_clock_gettime, &[t.clock as u64, slot.addr]);
        let done = remote.run(batch)?;
        done.all().doing(|| named(t))?;
        Ok(done.word(slot, 0).saturating_mul(1_000_000_000).saturating_add(done.word(slot, 1)))
    }
}

fn named(t: &Ptimer) -> String {
    format!("POSIX timer {} (clock {})", t.id, t.clock)
}

/// The point in time `back` before `next`, or as near to it as whole intervals lead without passing the clock's beginning.
fn past(next: u64, back: u64, interval: u64) -> (u64, bool) {
    match next.checked_sub(back) {
        Some(at) if at > 0 => (at, true),
        _ => {
            let rest = next % interval;
            (if rest == 0 { interval } else { rest }, true)
        }
    }
}

/// Makes timers and deletes them, until the next one has this id.
fn count_up(host: &mut Host, next: &mut u32, id: u32) -> Result<()> {
    if id > PATIENCE {
        return refuse(
            RefusalKind::Machine,
            format!(
                "POSIX timer {id}: this kernel has no PR_TIMER_CREATE_RESTORE_IDS, and to count up to that id takes too long: thaw on Linux 6.16 or later"
            ),
        );
    }
    while *next < id {
        let mut batch = host.batch()?;
        let slot = batch.space(4);
        for _ in 0..1024.min(id - *next) {
            batch.call(libc::SYS_timer_create, &[libc::CLOCK_MONOTONIC as u64, 0, slot.addr]);
            batch.call(libc::SYS_timer_delete, &[u64::from(*next)]);
            *next += 1;
        }
        host.run(batch)?.all().doing(|| format!("counting up to POSIX timer {id}"))?;
    }
    *next = id + 1;
    Ok(())
}

fn settime(batch: &mut Batch, t: &Ptimer, at: u64, absolute: bool) {
    let time = |ns: u64| [ns / 1_000_000_000, ns % 1_000_000_000];
    let words = [time(t.interval_ns), time(at)].concat();
    let new = batch.put(&words.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<_>>());
    let flags = if absolute { libc::TIMER_ABSTIME as u64 } else { 0 };
    batch.call(libc::SYS_timer_settime, &[t.id.into(), flags, new.addr, 0]);
}

#[cfg(test)]
mod tests {
    use super::past;

    #[test]
    fn the_beat_is_kept() {
        assert_eq!(past(1000, 300, 100), (700, true));
        assert_eq!(past(1030, 5000, 100), (30, true));
        assert_eq!(past(1000, 5000, 100), (100, true));
    }
}
