//! `SCHD`: how a thread is scheduled.

use cryo_format::section::scheduling::Scheduling;
use cryo_tracee::Batch;
use cryo_tracee::remote::Done;
use cryo_tracee::sched;

use crate::Result;

/// What only the thread itself may ask.
pub struct Questions {
    timer_slack: usize,
}

impl Questions {
    /// prctl(2).
    pub fn ask(batch: &mut Batch) -> Self {
        Self { timer_slack: batch.call(libc::SYS_prctl, &[libc::PR_GET_TIMERSLACK as u64]) }
    }
}

/// How thread `tid` is scheduled. `online` is what there is in CPUs: who may run on all of them is not restricted.
pub fn collect(tid: i32, online: &[u8], q: &Questions, done: &Done) -> Result<Scheduling> {
    let a = sched::attributes(tid)?;
    let mask = sched::affinity(tid)?;
    let all = online.iter().enumerate().all(|(i, byte)| byte & !mask.get(i).copied().unwrap_or(0) == 0);
    Ok(Scheduling {
        policy: a.policy,
        nice: sched::nice(tid)?,
        priority: a.priority,
        ioprio: sched::ioprio(tid)?,
        flags: a.flags,
        runtime_ns: a.runtime,
        deadline_ns: a.deadline,
        period_ns: a.period,
        util_min: a.util_min,
        util_max: a.util_max,
        timer_slack_ns: done.result(q.timer_slack)?,
        affinity: if all { Vec::new().into() } else { mask.into() },
    })
}
