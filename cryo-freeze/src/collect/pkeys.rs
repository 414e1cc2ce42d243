//! Memory protection keys (pkeys(7)), which are not carried: a program that has allocated one is refused by name.

use cryo_tracee::Batch;
use cryo_tracee::cpu;
use cryo_tracee::remote::Done;

use super::{RefusalKind, Scene, refuse};
use crate::Result;

/// pkey_mprotect(2) with each key that a program can have, at an address where nothing is: EINVAL for a key that is not allocated, and ENOMEM
/// for one that is. (mm/mprotect.c, do_mprotect_pkey; there is no way to ask.) Nothing changes by it.
pub struct Questions(Vec<usize>);

impl Questions {
    /// Asks, where the CPU and the kernel have keys.
    pub fn ask(batch: &mut Batch) -> Self {
        let there = cpu::brand_and_features().1.contains("ospke");
        let keys = if there { 1..16 } else { 0..0 };
        Self(keys.map(|key| batch.call(libc::SYS_pkey_mprotect, &[0, 4096, 0, key])).collect())
    }
}

/// Refuses what would be lost. The key that the kernel itself takes for execute-only memory it takes again.
pub fn check(scene: &Scene<'_>, q: &Questions, done: &Done) -> Result<()> {
    let allocated =
        q.0.iter().zip(1..).find(|(call, _)| done.result(**call).is_err_and(|e| e.errno() == Some(libc::ENOMEM)));
    match allocated {
        Some((_, key)) => refuse(
            RefusalKind::Memory,
            format!(
                "process {} has allocated memory protection key {key} (pkey_alloc), which is not carried yet",
                scene.pid
            ),
        ),
        None => Ok(()),
    }
}
