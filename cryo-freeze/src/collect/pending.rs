//! `SIGP`: signals that were sent and not delivered.

use cryo_format::prim::Blob;
use cryo_format::section::pending::Pending;
use cryo_tracee::Stopped;

use super::Collected;
use crate::Result;

/// Adds the pending signals of a thread, or the shared ones of its process.
pub fn collect(thread: &Stopped, owner: u64, shared: bool, out: &mut Collected) -> Result<()> {
    let signals = thread.pending(shared)?;
    if !signals.is_empty() {
        out.add(owner, Pending { signals: signals.into_iter().map(Blob::from).collect() });
    }
    Ok(())
}
