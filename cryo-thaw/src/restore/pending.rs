//! `SIGP`: signals that were sent and not delivered.

use cryo_format::section::pending::Pending;
use cryo_tracee::Host;

use crate::Result;

/// Sends them again, with all that came with them, while the host blocks every signal. A process may claim any origin of a signal to itself.
pub fn restore(host: &mut Host, i: usize, pending: &Pending, tid: Option<i32>) -> Result<()> {
    let pid = host.pid() as u64;
    let mut batch = host.batch()?;
    for info in &pending.signals {
        let Some(signal) = info.first_chunk::<4>().map(|b| u32::from_le_bytes(*b)) else { continue };
        let mut whole = info.to_vec();
        whole.resize(128, 0);
        let at = batch.put(&whole);
        match tid {
            Some(tid) => batch.call(libc::SYS_rt_tgsigqueueinfo, &[pid, tid as u64, signal.into(), at.addr]),
            None => batch.call(libc::SYS_rt_sigqueueinfo, &[pid, signal.into(), at.addr]),
        };
    }
    Ok(host.remote_at(i)?.run(batch)?.all()?)
}
