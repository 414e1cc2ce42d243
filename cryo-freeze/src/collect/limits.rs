//! `LIMT`: resource limits. The process itself may always ask; another user's is asked in vain.

use cryo_format::section::limits::{Limit, Limits};
use cryo_tracee::Batch;
use cryo_tracee::limits::COUNT;
use cryo_tracee::remote::Slot;

use super::thread::Answers;
use super::{Collected, Scene};
use crate::Result;

/// One answer per limit.
pub struct Questions(Vec<(usize, Slot)>);

impl Questions {
    /// prlimit(2).
    pub fn ask(batch: &mut Batch) -> Self {
        let ask = |resource: u32| {
            let slot = batch.space(16);
            (batch.call(libc::SYS_prlimit64, &[0, resource.into(), 0, slot.addr]), slot)
        };
        Self((0..COUNT).map(ask).collect())
    }
}

/// Adds the limits.
pub fn collect(scene: &Scene<'_>, answers: &Answers, out: &mut Collected) -> Result<()> {
    let mut limits = Vec::new();
    for (resource, (call, slot)) in (0..).zip(&answers.limits.0) {
        answers.done.result(*call)?;
        let word = |i| answers.done.word(*slot, i);
        limits.push(Limit { resource, reserved: 0, soft: word(0), hard: word(1) });
    }
    out.add(scene.id, Limits { limits: limits.into() });
    Ok(())
}
