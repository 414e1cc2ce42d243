//! Whether a forked copy can stand for the original while its pages are written, so that the original goes on at once.

use super::Scene;
use crate::options::Afterwards;

/// A copy has everything but what fork(2) leaves out on request: MADV_DONTFORK (and MADV_WIPEONFORK and MAP_DROPPABLE, of which the image holds nothing); and
/// huge TLB pages, which the kernel takes from it when the original writes to them and the pool is empty.
pub fn possible(scene: &Scene<'_>) -> bool {
    scene.options.afterwards == Afterwards::Run
        // A copy would stand under the filters of its original.
        && scene.status.number("Seccomp").unwrap_or(0) == 0
        && !scene.maps.iter().any(|m| {
            let special = cryo_tracee::host::is_special(m);
            !special && (m.has("dc") || m.has("ht"))
        })
}
