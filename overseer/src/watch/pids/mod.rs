//! `--pid translate`: a family that was thawed with new pids goes on to see the old ones.
//!
//! [`table`] says where pids are in which calls, [`translate`] changes them on the way in and out by the numbers that [`Pids`] knows.

pub mod answers;
pub mod path;
pub mod table;
pub mod translate;
pub mod translated;

use std::collections::HashMap;

/// PID_MAX_LIMIT.
const PID_MAX: i32 = 1 << 22;

/// What is not translated, for who wants to know before they rely on it.
pub const NOT_TRANSLATED: &str = "futexes that hold thread ids for the kernel (PI, robust), pids in shared memory, in messages (SCM_CREDENTIALS), in what is \
                                  read from a signalfd or a file of /proc, and in the list that /proc is";

/// The numbers by which a family sees its processes, threads, groups and sessions, and those by which the kernel knows them. Others are the same for both.
#[derive(Clone, Debug, Default)]
pub struct Pids {
    kernel: HashMap<i32, i32>,
    seen: HashMap<i32, i32>,
    /// For who is born with the number that another one of the family is seen by: so high that the kernel seldom comes there, but one that it could give, since it
    /// is that of a process in an image.
    made_up: i32,
}

impl Pids {
    /// Of these: as seen, and as the kernel has it.
    pub fn of(pairs: impl IntoIterator<Item = (i32, i32)>) -> Self {
        let mut pids = Self { made_up: PID_MAX, ..Self::default() };
        pairs.into_iter().filter(|(seen, kernel)| *seen > 0 && *kernel > 0).for_each(|(s, k)| pids.know(s, k));
        pids
    }

    /// New numbers are below this one, the machine's /proc/sys/kernel/pid_max.
    #[must_use]
    pub fn below(self, pid_max: i32) -> Self {
        Self { made_up: pid_max, ..self }
    }

    /// Those that are seen, by those that the kernel has.
    pub fn all(&self) -> &HashMap<i32, i32> {
        &self.seen
    }

    /// Two may be seen by one number: a group and a session that are outside, and were led by one process. The first is who is meant by it.
    fn know(&mut self, seen: i32, kernel: i32) {
        self.kernel.entry(seen).or_insert(kernel);
        self.seen.entry(kernel).or_insert(seen);
    }

    /// A process or thread was born with this number of the kernel. Who had it before is gone.
    pub fn born(&mut self, kernel: i32) {
        if let Some(former) = self.seen.remove(&kernel)
            && self.kernel.get(&former) == Some(&kernel)
        {
            self.kernel.remove(&former);
        }
        if self.kernel.contains_key(&kernel) {
            let taken = |n: &i32| self.kernel.contains_key(n) || self.seen.contains_key(n);
            self.made_up = (1..self.made_up).rev().find(|n| !taken(n)).unwrap_or(PID_MAX);
            self.know(self.made_up, kernel);
        }
    }

    /// The number by which the family sees the one that the kernel knows by this.
    pub fn seen(&self, kernel: i32) -> i32 {
        self.seen.get(&kernel).copied().unwrap_or(kernel)
    }

    /// The kernel's number of who is seen by this one.
    pub fn kernel(&self, seen: i32) -> i32 {
        self.kernel.get(&seen).copied().unwrap_or(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_both_ways() {
        let mut pids = Pids::of([(100, 7), (101, 100), (0, 5), (100, 9)]).below(1000);
        assert_eq!((pids.kernel(100), pids.seen(9)), (7, 100));
        assert_eq!((pids.kernel(100), pids.kernel(101), pids.kernel(5)), (7, 100, 5));
        assert_eq!((pids.seen(7), pids.seen(100), pids.seen(200)), (100, 101, 200));
        // A new process has a number by which another one is seen: that one keeps it.
        pids.born(101);
        let other = pids.seen(101);
        assert!(other == 999 && pids.kernel(other) == 101 && pids.kernel(101) == 100);
        // The kernel's number of one that is gone comes again.
        pids.born(7);
        assert_eq!((pids.seen(7), pids.kernel(7), pids.kernel(100)), (7, 7, 100));
    }
}
