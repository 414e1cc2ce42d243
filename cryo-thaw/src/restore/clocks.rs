//! Clocks that count from the start of the machine never go back.
//!
//! A program keeps what it waits for as a point on them. After a restart of the machine, or on a younger one, they would show less than
//! before, by days, and for that long asyncio, pthread_cond_timedwait and their like would wait. It shows as a program that is thawed, does nothing,
//! and uses no CPU time.

use std::time::Duration;

use cryo_format::section::clocks::Clocks;
use cryo_tracee::timens;

use crate::Result;
use crate::elapsed::elapsed;
use crate::ice::Ice;
use crate::options::Options;

/// By how much this machine's clocks are behind those of the program, in nanoseconds; `None` if neither is. Where they are ahead, for the
/// program the machine was asleep: that is what these clocks look like then.
pub fn behind(ice: &Ice) -> Option<[i64; 2]> {
    let (_, then) = ice.all::<Clocks>().next()?;
    let now = timens::clocks();
    let behind = [then.monotonic_ns, then.boottime_ns].map(|ns| i64::try_from(ns).unwrap_or(i64::MAX));
    let behind = [0, 1].map(|i| behind[i].saturating_sub(now[i]));
    behind.iter().any(|ns| *ns > 0).then_some(behind)
}

/// For people.
pub fn words(behind: [i64; 2]) -> String {
    let longest = Duration::from_nanos(behind[0].max(behind[1]).max(0) as u64);
    humantime::format_duration(Duration::from_secs(longest.as_secs())).to_string()
}

/// Before the host is started: if the clocks are behind, it shall be born in a time namespace in which they are not.
pub fn restore(ice: &Ice, options: &Options) -> Result<()> {
    let Some(behind) = behind(ice) else { return Ok(()) };
    // A clock that is ahead although the other is behind stays as it is.
    let ice_time = elapsed(ice, options)?.as_nanos() as i64;
    let ahead = behind.map(|ns| if ns > 0 { ns.saturating_add(ice_time) } else { 0 });
    if let Err(e) = timens::enter(ahead) {
        options.notes.add(format!(
            "CLOCK_MONOTONIC goes back by {} for the program, which may wait for that much longer ({e}): \
             --pid namespace prevents it",
            words(behind)
        ));
    }
    Ok(())
}
