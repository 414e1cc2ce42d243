//! How much of the time in the ice is counted.

use std::time::{Duration, SystemTime};

use cryo_format::section::origin::Origin;

use crate::Result;
use crate::error::{RefusalKind, refuse};
use crate::ice::Ice;
use crate::options::{Options, Time};

/// None, unless the person asks for it.
pub fn elapsed(ice: &Ice, options: &Options) -> Result<Duration> {
    if options.time == Time::Ice {
        return Ok(Duration::ZERO);
    }
    let Some((_, origin)) = ice.all::<Origin>().next() else {
        return refuse(
            RefusalKind::Image,
            "the .frost does not say when it was frozen (no ORIG section), so --time real has nothing to count from",
        );
    };
    Ok(since(origin))
}

/// The time since the freeze, by the calendar; none where that is to come yet.
pub fn since(origin: &Origin) -> Duration {
    let then = Duration::new(origin.time_sec.max(0) as u64, origin.time_nsec.min(999_999_999) as u32);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(then)
}
