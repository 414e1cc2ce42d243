//! Whether a live freeze is expected to be shorter than the usual way: told from /proc, before anything stands still.

use cryo_tracee::proc::{self, Meminfo, MemoryGroup, Status};

use super::member::restricted;
use super::{FORK_HUGE, FORK_SMALL};

/// Bytes in small pages from which on it is worth while. A program stood still, on a busy machine with two processors (medians of 7, in ms):
///
/// | MiB | 32 | 64 | 128 | 256 | 512 | 1024 |
/// |---|---|---|---|---|---|---|
/// | forked | 32 | 31 | 35 | 77 | 108 | 239 |
/// | live | 20 | 15 | 14 | 23 | 25 | 74 |
///
/// From here on that is a third. Below it there is less to win than the second stop, the page faults and a copy of the memory are worth.
const LEAST: u64 = 256 << 20;
/// The same for each further process: a userfaultfd is made in it at the first stop.
const EACH: u64 = 32 << 20;

/// Why it is not, for these processes that go on afterwards, and are `traced` by an overseer; `None` if it is.
pub fn why_not(pids: &[i32], traced: bool) -> Option<String> {
    let (mut own, mut shared, mut swapped) = (0, 0, 0);
    for (pid, status) in pids.iter().filter_map(|pid| Some((pid, Status::of(*pid).ok()?))) {
        // The same is asked again when it stands still: this spares it the first stop.
        if let Some(why) = restricted(*pid, &status, traced) {
            return Some(why);
        }
        own += status.number("RssAnon").unwrap_or(0) << 10;
        shared += status.number("RssShmem").unwrap_or(0) << 10;
        swapped += status.number("VmSwap").unwrap_or(0) << 10;
    }
    let least = LEAST + EACH * (pids.len() as u64).saturating_sub(1);
    let little = || Some(format!("it has less than {} MiB of its own in small pages", least >> 20));
    if own < least {
        return little();
    }
    // The kernel looks at all pages for this, and so it is asked only now.
    let (mut huge, mut apart) = (0, 0);
    for pid in pids {
        let text = proc::bytes(*pid, "smaps_rollup").unwrap_or_default();
        let rollup = Meminfo::of(&String::from_utf8_lossy(&text));
        huge += rollup.bytes("AnonHugePages").unwrap_or(0);
        apart += rollup.bytes("Pss_Anon").unwrap_or(0);
    }
    let small = own.saturating_sub(huge);
    if small < least {
        return little();
    }
    if huge + shared > small / FORK_SMALL + huge / FORK_HUGE {
        return Some("much of its memory is shared or in huge pages, and would be copied while it stands still".into());
    }
    if apart < own / 4 * 3 {
        return Some(
            "much of its memory is the same in several processes, and would be copied for each of them".into(),
        );
    }
    lacks(own + swapped)
}

/// Why there is too little memory for a live freeze of these processes that nobody has asked for; `None` if there is enough.
pub fn lacks_memory(pids: &[i32]) -> Option<String> {
    let statuses = pids.iter().filter_map(|pid| Status::of(*pid).ok());
    let kib = |status: &Status| ["RssAnon", "VmSwap"].iter().filter_map(|key| status.number(key)).sum::<u64>();
    lacks(statuses.map(|status| kib(&status) << 10).sum())
}

/// A set on a tmpfs is as large again as the copy.
fn lacks(bytes: u64) -> Option<String> {
    (bytes > available() / 2).then(|| "there is not twice as much memory free".into())
}

/// Bytes that we can have without others being driven out, us or the program among them.
pub fn available() -> u64 {
    let groups = MemoryGroup::of(std::process::id() as i32).into_iter().filter_map(|group| group.used_of_limit());
    let groups = groups.map(|(used, limit)| limit.saturating_sub(used));
    let machine = Meminfo::now().bytes("MemAvailable").unwrap_or(0);
    groups.fold(machine, u64::min) / 10 * 9
}
