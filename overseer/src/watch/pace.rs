//! The pace of a program that asks for its translated pid again and again. Each answer is quick; what takes time is that two processes wake each other, on two
//! processors perhaps. So who has asked several times in a row is waited for awake for a moment, and on its own processor, which we leave to it meanwhile.

use std::time::{Duration, Instant};

use cryo_tracee::proc::Stat;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// So many answers in a row are a habit.
const HABIT: u32 = 16;
/// So often it is looked at whether they are still on one processor.
const LOOK: u32 = 4096;
/// So long the next question is waited for.
const MOMENT: Duration = Duration::from_micros(50);

/// Who asks, how often they have, and when last.
#[derive(Default)]
pub struct Pace {
    tid: i32,
    count: u32,
    last: Option<Instant>,
    /// Where we may run otherwise, while we stay on one processor.
    anywhere: Option<CpuSet>,
}

impl Pace {
    /// This thread was answered.
    pub fn answered(&mut self, tid: i32) {
        if self.tid != tid {
            self.rest();
            self.tid = tid;
        }
        self.count += 1;
        if self.count >= HABIT {
            self.last = Some(Instant::now());
            if self.count % LOOK == HABIT {
                self.follow();
            }
        }
    }

    /// Something else happened.
    pub fn rest(&mut self) {
        (self.count, self.last) = (0, None);
        if let Some(anywhere) = self.anywhere.take() {
            let _ = sched_setaffinity(None, &anywhere);
        }
    }

    /// Nothing happened: is it to be looked again at once?
    pub fn waits(&mut self) -> bool {
        match self.last {
            Some(last) if last.elapsed() < MOMENT => {
                std::thread::yield_now();
                true
            }
            _ => {
                self.rest();
                false
            }
        }
    }

    /// To the processor that it runs on.
    fn follow(&mut self) {
        /// Of /proc/PID/stat.
        const PROCESSOR: usize = 39;
        let Some(cpu) = Stat::of(self.tid).ok().and_then(|stat| stat.field(PROCESSOR).ok()) else { return };
        let Ok(anywhere) = sched_getaffinity(None) else { return };
        let cpu = cpu as usize;
        if cpu >= CpuSet::MAX_CPU {
            return;
        }
        let mut one = CpuSet::new();
        one.set(cpu);
        if sched_setaffinity(None, &one).is_ok() {
            self.anywhere.get_or_insert(anywhere);
        }
    }
}
