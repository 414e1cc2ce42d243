//! `ITIM`: interval timers. Asking does not disturb them.

use cryo_format::section::itimers::{Itimer, Itimers};
use cryo_tracee::Batch;
use cryo_tracee::remote::{Done, Slot};

use super::{Collected, Scene};
use crate::Result;

/// One answer per timer.
pub struct Questions([(usize, Slot); 3]);

impl Questions {
    /// getitimer(2).
    pub fn ask(batch: &mut Batch) -> Self {
        Self([0, 1, 2].map(|which| {
            let slot = batch.space(32);
            (batch.call(libc::SYS_getitimer, &[which, slot.addr]), slot)
        }))
    }
}

/// Adds those that are set.
pub fn collect(scene: &Scene<'_>, questions: &Questions, done: &Done, out: &mut Collected) -> Result<()> {
    let mut timers = Vec::new();
    for (which, (call, slot)) in (0..).zip(&questions.0) {
        done.result(*call)?;
        let time = |i| done.word(*slot, i).saturating_mul(1_000_000).saturating_add(done.word(*slot, i + 1));
        let timer = Itimer { which, reserved: 0, interval_us: time(0), value_us: time(2) };
        if timer.interval_us != 0 || timer.value_us != 0 {
            timers.push(timer);
        }
    }
    if !timers.is_empty() {
        out.add(scene.id, Itimers { timers: timers.into() });
    }
    Ok(())
}
