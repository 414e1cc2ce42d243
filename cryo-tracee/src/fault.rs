//! Fault injection: `CRYO_FAULT=N` makes the N-th operation on the process fail (`N:ERRNO` with that errno; default EIO).
//!
//! The safety tests count N upwards until a freeze succeeds, and so have been through a failure at every call site. Undoing is not
//! counted: what puts the target back must not be made to fail by a test of whether it is put back.

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

static COUNT: AtomicU64 = AtomicU64::new(0);

fn plan() -> Option<(u64, i32)> {
    static PLAN: OnceLock<Option<(u64, i32)>> = OnceLock::new();
    *PLAN.get_or_init(|| {
        let text = std::env::var("CRYO_FAULT").ok()?;
        let (n, errno) = text.split_once(':').unwrap_or((&text, ""));
        Some((n.parse().ok()?, errno.parse().unwrap_or(libc::EIO)))
    })
}

/// Counts one operation; fails if it is the planned one.
pub fn point() -> io::Result<()> {
    let Some((n, errno)) = plan() else { return Ok(()) };
    if COUNT.fetch_add(1, Ordering::Relaxed) + 1 == n {
        return Err(io::Error::from_raw_os_error(errno));
    }
    Ok(())
}
