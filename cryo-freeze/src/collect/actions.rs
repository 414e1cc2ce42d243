//! `SIGA`: signal handlers. Only the process itself can be asked for them.

use cryo_format::prim::Addr;
use cryo_format::section::actions::{Action, Actions};
use cryo_tracee::Batch;
use cryo_tracee::remote::{Done, Slot};

use super::{Collected, Scene};

/// One answer per signal.
pub struct Questions(Vec<(u32, Slot)>);

impl Questions {
    /// rt_sigaction(2) for every signal; SIGKILL and SIGSTOP have no handler.
    pub fn ask(batch: &mut Batch) -> Self {
        let signals = (1..=64).filter(|s| *s != libc::SIGKILL as u32 && *s != libc::SIGSTOP as u32);
        Self(
            signals
                .map(|signal| {
                    let slot = batch.space(32);
                    batch.call(libc::SYS_rt_sigaction, &[signal.into(), 0, slot.addr, 8]);
                    (signal, slot)
                })
                .collect(),
        )
    }
}

/// Adds the handlers that are not the default. `ignores_traps`: was SIGTRAP ignored before the questions were asked?
pub fn collect(scene: &Scene<'_>, questions: &Questions, done: &Done, ignores_traps: bool, out: &mut Collected) {
    let actions = questions.0.iter().filter_map(|(signal, slot)| {
        let word = |i| Addr(done.word(*slot, i));
        // The traps with which the questions end have changed this one already, if it was ignored.
        let handler = if *signal == libc::SIGTRAP as u32 && ignores_traps { Addr(1) } else { word(0) };
        let action = Action { signal: *signal, reserved: 0, handler, flags: word(1), restorer: word(2), mask: word(3) };
        (action != Action { signal: *signal, ..Action::default() }).then_some(action)
    });
    out.add(scene.id, Actions { actions: actions.collect() });
}
