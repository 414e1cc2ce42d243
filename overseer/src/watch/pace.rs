//! Whether the next stop is waited for awake or asleep.
//!
//! To wake a process that sleeps on another processor takes several times what the handling of a stop does, in a virtual machine above all. So who stops often is
//! waited for awake, for a moment; but where both have to share a processor that only keeps the program from running, and it is faster to sleep. Which of the two is
//! faster now is tried, time and again, in turn from stop to stop, so that whatever else happens falls on both.

use std::time::{Duration, Instant};

/// For so long a stop is waited for awake, at most.
const MOMENT: Duration = Duration::from_micros(50);
/// So many stops are a trial.
const TRIAL: u32 = 64;
/// For so many stops the better way is kept.
const KEPT: u32 = 2048;
/// What takes longer than this tells nothing of either way.
const LONG: Duration = Duration::from_micros(500);

/// The pace of the family.
pub struct Pace {
    /// Is the next stop waited for awake?
    awake: bool,
    /// During a trial: what the stops took that were waited for asleep, and awake.
    trial: Option<[Duration; 2]>,
    /// Stops since it began, or ended.
    stops: u32,
    /// When the last stop was handled.
    last: Instant,
}

impl Default for Pace {
    fn default() -> Self {
        Self { awake: false, trial: Some(<[Duration; 2]>::default()), stops: 0, last: Instant::now() }
    }
}

impl Pace {
    /// A stop was handled.
    pub fn stopped(&mut self) {
        self.at(Instant::now());
    }

    fn at(&mut self, now: Instant) {
        let taken = now.saturating_duration_since(self.last).min(LONG);
        self.last = now;
        self.stops += 1;
        match &mut self.trial {
            Some(both) => {
                both[usize::from(self.awake)] += taken;
                self.awake = !self.awake;
                if self.stops == TRIAL {
                    // Not for a gain that is chance.
                    self.awake = both[1] < both[0] * 9 / 10;
                    (self.trial, self.stops) = (None, 0);
                }
            }
            None if self.stops == KEPT => *self = Self { last: now, ..Self::default() },
            None => {}
        }
    }

    /// Nothing has happened: is it to be looked again at once?
    pub fn awake(&self) -> bool {
        self.awake && self.last.elapsed() < MOMENT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goes through a trial with stops that take so many microseconds asleep and awake: are those after it waited for awake?
    fn tried(asleep: u64, awake: u64) -> bool {
        let mut pace = Pace::default();
        let mut now = pace.last;
        let mut stops = |pace: &mut Pace, n| {
            for _ in 0..n {
                now += Duration::from_micros(if pace.awake { awake } else { asleep });
                pace.at(now);
            }
        };
        stops(&mut pace, TRIAL);
        assert_eq!(pace.trial, None);
        let kept = pace.awake;
        stops(&mut pace, KEPT);
        assert!(pace.trial.is_some() && !pace.awake);
        kept
    }

    #[test]
    fn the_faster_way_is_kept_and_tried_again() {
        assert!(tried(60, 20));
        assert!(!tried(15, 45));
        assert!(!tried(300, 290));
        // Who stops seldom is not waited for.
        assert!(!tried(10_000, 1_000));
    }
}
