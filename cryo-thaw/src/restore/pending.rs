//! `SIGP`: signals that were sent and not delivered.

use cryo_format::prim::Blob;
use cryo_format::section::pending::Pending;
use cryo_tracee::{AWAY, Host};

use crate::Result;
use crate::error::{Doing, RefusalKind, refuse};

/// Signals in one batch of remote calls.
const AT_ONCE: usize = 256;

/// Sends them again, with all that came with them, while the host blocks every signal. A process may claim any origin of a signal to itself.
pub fn restore(host: &mut Host, i: usize, pending: &Pending, to_thread: bool) -> Result<()> {
    for some in pending.signals.chunks(AT_ONCE) {
        send(host, i, some, to_thread)?;
    }
    // A signal without its siginfo is sent without an error where RLIMIT_SIGPENDING is reached, and so is one of kill(2) that is queued twice.
    let there = host.thread_at(i)?.pending(!to_thread)?.iter().filter(|info| is_kept_away(*info)).count();
    let wanted = pending.signals.iter().filter(|info| is_kept_away(info)).count();
    if there < wanted { too_many(wanted) } else { Ok(()) }
}

/// Does the host block it? SIGTRAP it does not: one that was sent is held for it by its tracer, and is not pending until it is let go.
fn is_kept_away(info: &[u8]) -> bool {
    let signal = info.first_chunk::<4>().map_or(0, |b| u32::from_le_bytes(*b));
    (1..=64).contains(&signal) && AWAY >> (signal - 1) & 1 != 0
}

fn too_many(count: usize) -> Result<()> {
    refuse(
        RefusalKind::Signals,
        format!(
            "{count} signals are pending, more than RLIMIT_SIGPENDING allows you to queue (all that your processes have count together): raise it \
         (ulimit -i, prlimit(1)), or end what has many pending"
        ),
    )
}

fn send(host: &mut Host, i: usize, signals: &[Blob], to_thread: bool) -> Result<()> {
    // Its ids as it knows them itself: ours are those of our own pid namespace.
    let (pid, tid) = host.in_thread(i, |host| -> Result<_> {
        Ok((host.call(libc::SYS_getpid, [0; 6])?, host.call(libc::SYS_gettid, [0; 6])?))
    })?;
    let mut batch = host.batch()?;
    for info in signals {
        let Some(signal) = info.first_chunk::<4>().map(|b| u32::from_le_bytes(*b)) else { continue };
        let mut whole = info.to_vec();
        whole.resize(128, 0);
        let at = batch.put(&whole);
        if to_thread {
            batch.call(libc::SYS_rt_tgsigqueueinfo, &[pid, tid, signal.into(), at.addr]);
        } else {
            batch.call(libc::SYS_rt_sigqueueinfo, &[pid, signal.into(), at.addr]);
        }
    }
    match host.remote_at(i)?.run(batch)?.all() {
        Err(e) if e.errno() == Some(libc::EAGAIN) => too_many(signals.len()),
        other => other.doing(|| format!("queueing {} pending signals again", signals.len())),
    }
}
