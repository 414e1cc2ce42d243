//! Who makes calls in a process and who waits for them take turns. On one processor neither has to be woken out of its sleep on another.

use cryo_tracee::sched;
use rustix::thread::{gettid, sched_getcpu};

/// Two threads on one processor, with the processors that they had before. Dropping it gives these back.
pub struct Together {
    before: Vec<(i32, Vec<u8>)>,
}

impl Together {
    /// Us and the process `pid`, on the processor that we are on; what it forks meanwhile begins there. Where it may not be, all stay where they are.
    pub fn here(pid: i32) -> Self {
        let cpu = sched_getcpu();
        let mut mask = vec![0; cpu / 8 + 1];
        mask[cpu / 8] = 1 << (cpu % 8);
        let bind = |tid| {
            let before = sched::affinity(tid).ok()?;
            sched::set_affinity(tid, &mask).ok()?;
            Some((tid, before))
        };
        Self { before: [gettid().as_raw_pid(), pid].into_iter().filter_map(bind).collect() }
    }

    /// One that was forked meanwhile has the processors that we had.
    pub fn leaves(&self, tid: i32) {
        if let Some((_, before)) = self.before.first() {
            let _ = sched::set_affinity(tid, before);
        }
    }
}

impl Drop for Together {
    fn drop(&mut self) {
        for (tid, before) in &self.before {
            let _ = sched::set_affinity(*tid, before);
        }
    }
}
