//! Memory policies of threads (set_mempolicy(2)): where new pages come from on a machine with several nodes. They are not carried, which makes a
//! program slower at worst, and so it is noted.

use cryo_tracee::Batch;
use cryo_tracee::remote::{Done, Slot};

use super::Collected;

/// MPOL_DEFAULT (linux/mempolicy.h).
const DEFAULT: u32 = 0;

/// The call, and where the mode is.
pub struct Question(usize, Slot);

impl Question {
    /// get_mempolicy(2) of the thread that is asked.
    pub fn ask(batch: &mut Batch) -> Self {
        let mode = batch.space(4);
        Self(batch.call(libc::SYS_get_mempolicy, &[mode.addr, 0, 0, 0, 0]), mode)
    }
}

/// Notes what is lost. A kernel without NUMA knows no policies.
pub fn note(tid: i32, q: &Question, done: &Done, out: &mut Collected) {
    let mode = done.bytes(q.1).try_into().map_or(DEFAULT, u32::from_le_bytes);
    if done.result(q.0).is_ok() && mode != DEFAULT {
        out.note(
            format!("thread {tid}"),
            "its memory policy (set_mempolicy(2)) is not carried: new pages come from the nearest node",
        );
    }
}
