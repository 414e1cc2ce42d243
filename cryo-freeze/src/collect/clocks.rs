//! `CLKS`: the clocks that count from the start of the machine, as the process sees them.

use cryo_format::section::clocks::Clocks;
use cryo_tracee::timens;

use super::{Collected, Scene};
use crate::Result;

/// Adds them. A time namespace of its own is carried by that: what it is for shows nowhere else.
pub fn collect(scene: &Scene<'_>, out: &mut Collected) -> Result<()> {
    let [monotonic_ns, boottime_ns] = timens::clocks_of(scene.live_tid)?.map(|ns| ns.max(0) as u64);
    out.add(scene.id, Clocks { monotonic_ns, boottime_ns });
    Ok(())
}
