//! Memory policies of threads (set_mempolicy(2)) and of mappings (mbind(2)): where new pages come from on a machine with several nodes. They are not carried, which makes a
//! program slower at worst, and so it is noted.

use cryo_tracee::remote::{Done, Slot};
use cryo_tracee::{Batch, Remote};

use super::{Collected, Scene};
use crate::Result;

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

/// get_mempolicy(2): of the mapping at this address.
const MPOL_F_ADDR: u64 = 1 << 1;
/// So many questions have room in one batch.
const AT_ONCE: usize = 500;

/// Notes the mappings that have a policy of their own: for others the kernel answers with the default one.
pub fn note_mappings(remote: &mut Remote<'_>, scene: &Scene<'_>, out: &mut Collected) -> Result<()> {
    for maps in scene.maps.chunks(AT_ONCE) {
        let mut batch = remote.batch();
        let asked: Vec<(usize, Slot)> = maps
            .iter()
            .map(|m| {
                let mode = batch.space(4);
                (batch.call(libc::SYS_get_mempolicy, &[mode.addr, 0, 0, m.start, MPOL_F_ADDR]), mode)
            })
            .collect();
        let done = remote.run(batch)?;
        for (m, (call, mode)) in maps.iter().zip(asked) {
            let mode = done.bytes(mode).try_into().map_or(DEFAULT, u32::from_le_bytes);
            if done.result(call).is_ok() && mode != DEFAULT {
                out.note(
                    format!("memory {:x}-{:x}", m.start, m.end),
                    "its memory policy (mbind(2)) is not carried: new pages come from the nearest node",
                );
            }
        }
    }
    Ok(())
}
