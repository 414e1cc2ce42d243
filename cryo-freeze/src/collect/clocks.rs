//! `CLKS`: the clocks that count from the start of the machine, as the process sees them.

use cryo_format::section::clocks::Clocks;
use cryo_tracee::timens;

use super::{Collected, Scene};
use crate::Result;

/// Adds them. A time namespace of its own is carried by that: what it is for shows nowhere else.
pub fn collect(scene: &Scene<'_>, out: &mut Collected) -> Result<()> {
    let (ours, now) = (scene.machine.clocks_ahead, timens::clocks());
    let of_our_namespace = scene.machine.links.get("time").is_some_and(|link| *link == scene.link("ns/time").ok());
    let theirs = if of_our_namespace { ours } else { timens::offsets_of(scene.live_tid)? };
    let [monotonic_ns, boottime_ns] = [0, 1].map(|i| (now[i] + theirs[i] - ours[i]).max(0) as u64);
    out.add(scene.id, Clocks { monotonic_ns, boottime_ns });
    Ok(())
}
