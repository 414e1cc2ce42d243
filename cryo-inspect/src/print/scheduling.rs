//! How the kernel shares out CPUs, disks and timers.

use cryo_format::section::scheduling::Scheduling;

use super::{Cx, Print};
use crate::block::{Blocks, Fields};
use crate::names::{bits, one_of};
use crate::text::duration;

const POLICIES: &[(u64, &str)] = &[
    (0, "SCHED_OTHER"),
    (1, "SCHED_FIFO"),
    (2, "SCHED_RR"),
    (3, "SCHED_BATCH"),
    (5, "SCHED_IDLE"),
    (6, "SCHED_DEADLINE"),
    (7, "SCHED_EXT"),
];
const FLAGS: &[(u64, &str)] =
    &[(1, "RESET_ON_FORK"), (2, "RECLAIM"), (4, "DL_OVERRUN"), (0x20, "UTIL_CLAMP_MIN"), (0x40, "UTIL_CLAMP_MAX")];
const DEADLINE: u32 = 6;

impl Print for Scheduling {
    const TITLE: &'static str = "scheduling";

    fn print(&self, out: &mut Blocks, _: &Cx<'_>) {
        let mut fields = Fields::default();
        let mut policy = one_of(self.policy.into(), POLICIES);
        if self.priority != 0 {
            policy += &format!(" priority {}", self.priority);
        }
        if self.policy == DEADLINE {
            let [runtime, deadline, period] = [self.runtime_ns, self.deadline_ns, self.period_ns].map(duration);
            policy += &format!(" {runtime} within {deadline} of every {period}");
        }
        fields.add("policy", policy);
        fields.add("nice", self.nice.to_string());
        fields.add_if(self.flags != 0, "flags", || bits(self.flags, FLAGS, " "));
        fields.add_if(self.ioprio >> 13 != 0, "I/O", || {
            let class = one_of((self.ioprio >> 13).into(), &[(1, "realtime"), (2, "best-effort"), (3, "idle")]);
            format!("{class} {}", self.ioprio & 7)
        });
        let clamped = (self.util_min, self.util_max) != (0, 1024) && (self.util_min, self.util_max) != (0, 0);
        fields.add_if(clamped, "utilization", || format!("{} to {} of 1024", self.util_min, self.util_max));
        fields.add_if(self.timer_slack_ns != 0, "timer slack", || duration(self.timer_slack_ns));
        fields.add_if(!self.affinity.is_empty(), "CPUs", || numbers(&self.affinity));
        out.fields(fields);
    }
}

/// The numbers of the bits that are set: `0-3,8`.
pub fn numbers(mask: &[u8]) -> String {
    // Kernels of today know 8192 CPUs and 1024 nodes at most.
    let known = mask.len().min(1024) * 8;
    let has = |n: usize| n < known && mask[n / 8] >> (n % 8) & 1 != 0;
    let mut out: Vec<String> = Vec::new();
    let mut n = 0;
    while n < known {
        if !has(n) {
            n += 1;
            continue;
        }
        let first = n;
        while has(n) {
            n += 1;
        }
        out.push(if n - first == 1 { first.to_string() } else { format!("{first}-{}", n - 1) });
    }
    out.join(",")
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn ranges() {
        assert_eq!(numbers(&[0b0000_1111, 0b1000_0001]), "0-3,8,15");
        assert_eq!(numbers(&[0xff, 0xff, 1]), "0-16");
        assert_eq!(numbers(&[]), "");
    }
}
