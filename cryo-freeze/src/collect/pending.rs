//! `SIGP`: signals that were sent and not delivered.

use cryo_format::prim::Blob;
use cryo_format::section::limits::Limits;
use cryo_format::section::pending::{Pending, SIGINFO_LEN};
use cryo_tracee::{Stopped, limits};

use super::{Collected, RefusalKind, refuse};
use crate::Result;

/// Adds the pending signals of a thread, or the shared ones of its process. `set` is SigPnd or ShdPnd of its /proc/TID/status.
pub fn collect(thread: &Stopped, owner: u64, shared: bool, set: u64, out: &mut Collected) -> Result<()> {
    let mut signals = thread.pending(shared)?;
    // One that found the queue full (RLIMIT_SIGPENDING) is in the set alone. Whoever takes it gets the siginfo of a kill(2) by nobody
    // (kernel/signal.c collect_signal), and so it is written.
    let queued = |signal: u32| signals.iter().any(|info| info.starts_with(&signal.to_le_bytes()));
    let alone: Vec<u32> = (1..=64).filter(|n| set >> (n - 1) & 1 != 0 && !queued(*n)).collect();
    for signal in alone {
        let mut info = [0; SIGINFO_LEN];
        info[..4].copy_from_slice(&signal.to_le_bytes());
        signals.push(info);
    }
    if !signals.is_empty() {
        out.add(owner, Pending { signals: signals.into_iter().map(Blob::from).collect() });
    }
    Ok(())
}

/// Could anybody here queue them again? `Limits` must be collected.
pub fn check(out: &Collected) -> Result<()> {
    let resource = libc::RLIMIT_SIGPENDING;
    let count = out.sections::<Pending>().map(|p| p.signals.len() as u64).sum::<u64>();
    let (_, ours) = limits::get(std::process::id() as i32, resource)?;
    let theirs = out.sections::<Limits>().flat_map(|l| l.limits.iter()).find(|l| l.resource == resource);
    let allowed = theirs.map_or(ours, |l| l.hard.max(ours));
    if count <= allowed {
        return Ok(());
    }
    refuse(
        RefusalKind::Signals,
        format!(
            "{count} signals are pending, and with RLIMIT_SIGPENDING {allowed} they could not be queued again: raise the hard limit of this shell (prlimit(1), \
         as root), or let the program take some"
        ),
    )
}
