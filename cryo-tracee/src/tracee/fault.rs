//! Fault injection: `CRYO_FAULT=N` makes the N-th operation on the process fail (`N:ERRNO` with that errno; default EIO), or `N:kill` kills us there.
//!
//! The safety tests count N upwards until a freeze succeeds, and so have been through a failure at every call site. Undoing is not
//! counted: what puts the target back must not be made to fail by a test of whether it is put back. It is where we are to be killed.
//! Where the number of operations differs from run to run, `CRYO_FAULT_SEEN=FILE` tells whether there was an N-th: the file is made when it fails.

use std::cell::Cell;
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

static COUNT: AtomicU64 = AtomicU64::new(0);

#[derive(Clone, Copy)]
enum Plan {
    Fail(u64, i32),
    Kill(u64),
}

fn plan() -> Option<Plan> {
    static PLAN: OnceLock<Option<Plan>> = OnceLock::new();
    *PLAN.get_or_init(|| {
        let text = std::env::var("CRYO_FAULT").ok()?;
        let (n, errno) = text.split_once(':').unwrap_or((&text, ""));
        let n = n.parse().ok()?;
        Some(if errno == "kill" { Plan::Kill(n) } else { Plan::Fail(n, errno.parse().unwrap_or(libc::EIO)) })
    })
}

thread_local! {
    static UNDOING: Cell<u32> = const { Cell::new(0) };
}

/// While it lives, this thread is undoing something, and its operations are not counted.
pub(crate) struct Undoing(());

impl Undoing {
    pub(crate) fn begin() -> Self {
        UNDOING.set(UNDOING.get() + 1);
        Self(())
    }
}

impl Drop for Undoing {
    fn drop(&mut self) {
        UNDOING.set(UNDOING.get() - 1);
    }
}

/// Counts one operation; fails if it is the planned one.
pub fn point() -> io::Result<()> {
    match plan() {
        Some(Plan::Fail(n, errno)) if UNDOING.get() == 0 && count() == n => {
            if let Some(seen) = std::env::var_os("CRYO_FAULT_SEEN") {
                let _ = std::fs::write(seen, "");
            }
            Err(io::Error::from_raw_os_error(errno))
        }
        Some(Plan::Kill(_)) => {
            moment();
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Counts one operation that is not made to fail, because it undoes something.
pub fn moment() {
    if let Some(Plan::Kill(n)) = plan()
        && count() == n
    {
        let _ = crate::signals::kill(std::process::id() as i32, libc::SIGKILL);
    }
}

fn count() -> u64 {
    COUNT.fetch_add(1, Ordering::Relaxed) + 1
}
