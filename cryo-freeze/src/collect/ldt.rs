//! The local descriptor table (modify_ldt(2)), which is not carried: a program that has set one up (Wine, DOSEMU) is refused by name.

use cryo_tracee::Batch;
use cryo_tracee::remote::Done;

use super::{RefusalKind, Scene, refuse};
use crate::Result;

/// The call that reads it: it answers 0 where there is none.
pub struct Question(usize);

impl Question {
    /// modify_ldt(2), func 0.
    pub fn ask(batch: &mut Batch) -> Self {
        let entry = batch.space(8);
        Self(batch.call(libc::SYS_modify_ldt, &[0, entry.addr, 8]))
    }
}

/// Refuses what would be lost. A kernel without the call (CONFIG_MODIFY_LDT_SYSCALL) has no table.
pub fn check(scene: &Scene<'_>, q: &Question, done: &Done) -> Result<()> {
    match done.result(q.0) {
        Ok(bytes) if bytes > 0 => refuse(
            RefusalKind::Memory,
            format!("process {} has a local descriptor table (modify_ldt(2)), which is not carried yet", scene.pid),
        ),
        _ => Ok(()),
    }
}
