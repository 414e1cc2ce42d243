//! `SCHD`: how a thread is scheduled. All but the timer slack is set from outside, by us and with our rights.

use std::collections::BTreeSet;

use cryo_format::section::scheduling::Scheduling;
use cryo_tracee::Host;
use cryo_tracee::sched::{self, Attributes};

use crate::Result;
use crate::error::Doing;
use crate::notes::Notes;

const SCHED_DEADLINE: u32 = 6;
const UTIL_CLAMP: u64 = 0x60;
/// As many CPUs as a mask of the kernel's largest can name.
const ALL: [u8; 1024] = [0xff; 1024];

/// Sets what differs from what the host has of us, for each thread. What is not allowed stays as it is, and is said once.
pub fn restore<'a>(host: &mut Host, each: impl Iterator<Item = &'a Scheduling>, notes: &Notes) -> Result<()> {
    let mut not_allowed = BTreeSet::new();
    for (i, s) in each.enumerate() {
        one(host, i, s, &mut not_allowed)?;
    }
    for what in &not_allowed {
        notes.add(what);
    }
    Ok(())
}

fn one(host: &mut Host, i: usize, s: &Scheduling, not_allowed: &mut BTreeSet<String>) -> Result<()> {
    let tid = host.thread_at(i)?.tid();
    let mut tried = |what: String, result: cryo_tracee::Result<()>| {
        if let Err(e) = &result {
            not_allowed
                .insert(format!("{what} may not be set here ({}): left as it is", e.errno().map_or("?", reason)));
        }
        result.is_ok()
    };
    if s.timer_slack_ns != 0 {
        let mut remote = host.remote_at(i)?;
        remote
            .call(libc::SYS_prctl, [libc::PR_SET_TIMERSLACK as u64, s.timer_slack_ns, 0, 0, 0, 0])
            .doing(|| format!("thread {tid}: setting its timer slack"))?;
    }
    // The CPUs first: a thread under SCHED_DEADLINE may not change them.
    let now = sched::affinity(tid)?;
    if s.affinity.is_empty() {
        if now != sched::online()? {
            tried("running on all CPUs".to_owned(), sched::set_affinity(tid, &ALL));
        }
    } else if now != s.affinity[..] {
        tried("running only on the CPUs that it was bound to".to_owned(), sched::set_affinity(tid, &s.affinity));
    }
    if sched::ioprio(tid)? != s.ioprio {
        let what = format!("I/O priority (class {}, level {})", s.ioprio >> 13, s.ioprio & 7);
        tried(what, sched::set_ioprio(tid, s.ioprio));
    }
    let now = Attributes { nice: sched::nice(tid)?, ..sched::attributes(tid)? };
    let clamp = |min, max| (min, max) != (0, 1024) && (min, max) != (0, 0);
    let clamped = clamp(s.util_min, s.util_max) || clamp(now.util_min, now.util_max);
    let wanted = Attributes {
        size: now.size,
        policy: s.policy,
        flags: s.flags | if clamped { UTIL_CLAMP } else { 0 },
        nice: s.nice,
        priority: s.priority,
        runtime: s.runtime_ns,
        deadline: s.deadline_ns,
        period: s.period_ns,
        util_min: if clamped { s.util_min } else { 0 },
        util_max: if clamped { s.util_max } else { 0 },
    };
    let same = Attributes { util_min: wanted.util_min, util_max: wanted.util_max, ..now };
    if wanted != same {
        let what = match s.policy {
            0 | 3 | 5 => format!("policy {} with nice {}", policy(s.policy), s.nice),
            SCHED_DEADLINE => "policy SCHED_DEADLINE".to_owned(),
            other => format!("policy {} with priority {}", policy(other), s.priority),
        };
        // Not every policy takes the nice value from there.
        if tried(what, sched::set_attributes(tid, &wanted)) && sched::nice(tid)? != s.nice {
            tried(format!("nice {}", s.nice), sched::set_nice(tid, s.nice));
        }
    }
    Ok(())
}

fn reason(errno: i32) -> &'static str {
    match errno {
        libc::EPERM | libc::EACCES => "no permission",
        libc::EBUSY => "too much is promised to others",
        libc::EINVAL => "there is no such thing here",
        _ => "the kernel refuses it",
    }
}

fn policy(n: u32) -> String {
    let names =
        ["SCHED_OTHER", "SCHED_FIFO", "SCHED_RR", "SCHED_BATCH", "", "SCHED_IDLE", "SCHED_DEADLINE", "SCHED_EXT"];
    names.get(n as usize).filter(|n| !n.is_empty()).map_or_else(|| n.to_string(), |name| (*name).to_owned())
}
