//! `ITIM`: interval timers.

use std::time::Duration;

use cryo_format::section::itimers::Itimers;
use cryo_tracee::Host;

use crate::Result;
use crate::error::Doing;

const ITIMER_REAL: u32 = 0;

/// Sets them, while all signals are blocked. `elapsed` is how much time in the ice is counted.
pub fn restore(host: &mut Host, itimers: &Itimers, elapsed: Duration) -> Result<()> {
    let mut batch = host.batch()?;
    for t in &itimers.timers {
        let left = match t.value_us {
            // Its signal is pending. It cannot be set up to wait for that being taken: it begins its next interval.
            0 => t.interval_us,
            // The others count the program's own time. A time that is up must not be 0, which would be none.
            us if t.which == ITIMER_REAL => us.saturating_sub(elapsed.as_micros() as u64).max(1),
            us => us,
        };
        let time = |us: u64| [us / 1_000_000, us % 1_000_000];
        let words = [time(t.interval_us), time(left)].concat();
        let at = batch.put(&words.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<_>>());
        batch.call(libc::SYS_setitimer, &[t.which.into(), at.addr, 0]);
    }
    host.run(batch)?.all().doing(|| "starting its interval timers".into())
}
