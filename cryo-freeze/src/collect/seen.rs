//! Ids as the processes see them, where an overseer keeps former ones true for them (`overseer resume --pid translate`): the image gets those.
//!
//! All is collected by the numbers that the kernel has. What is collected names its processes and threads by local ids; wherever a number stands besides,
//! it becomes the one that is seen.

use std::collections::HashMap;

use cryo_format::section::AnySection;
use cryo_format::section::family::Zombie;
use cryo_format::section::owners::{OUTSIDE, OWN_GROUP};
use cryo_tracee::{proc, signals};

use super::Collected;

/// The number that is seen, by the kernel's, where it is another one.
pub type Seen = HashMap<i32, i32>;

/// Turns all numbers in what was collected into those that are seen.
pub fn translate(seen: &Seen, out: &mut Collected) {
    if seen.is_empty() {
        return;
    }
    for (_, section) in &mut out.sections {
        of_section(seen, section);
    }
    let mut pairs: Vec<_> = seen.iter().filter(|(kernel, seen)| kernel != seen).collect();
    pairs.sort_by_key(|(_, seen)| **seen);
    let pairs: Vec<String> = pairs.iter().map(|(kernel, seen)| format!("{seen} ({kernel})")).collect();
    out.note(
        "pids",
        format!(
            "it is watched with translated pids, and the image has those that it sees; the other notes have the kernel's, which stand in brackets: {}",
            pairs.join(", ")
        ),
    );
}

fn of_section(seen: &Seen, section: &mut AnySection) {
    let change = |number: &mut u64| *number = of(seen, *number);
    match section {
        AnySection::Family(family) => {
            for Zombie { pid, ppid, pgid, sid, .. } in &mut family.zombies.0 {
                [pid, ppid, pgid, sid].into_iter().for_each(change);
            }
            family.zombies.0.sort_by_key(|zombie| zombie.pid);
        }
        AnySection::Process(process) => {
            // A stranger may have the number of the kernel by which a member is seen: it is not that one's child.
            let ppid = of(seen, process.ppid);
            let stranger = ppid == process.ppid && seen.values().any(|member| *member as u64 == ppid);
            process.ppid = if stranger { 0 } else { ppid };
            process.cwd.0 = path(seen, std::mem::take(&mut process.cwd.0));
            [&mut process.pid, &mut process.pgid, &mut process.sid].into_iter().for_each(change);
        }
        AnySection::Thread(thread) => change(&mut thread.tid),
        AnySection::Sessions(sessions) => {
            for session in &mut sessions.sessions.0 {
                change(&mut session.sid);
                change(&mut session.foreground);
            }
            sessions.sessions.0.sort_by_key(|session| session.sid);
        }
        // Of a process or a thread it is a local id.
        AnySection::Owner(owner) if matches!(owner.kind, OWN_GROUP | OUTSIDE) => change(&mut owner.owner),
        AnySection::DeadPidfd(pidfd) => change(&mut pidfd.pid),
        AnySection::Peer(peer) => change(&mut peer.pid),
        AnySection::Ancillary(ancillary) => ancillary.messages.0.iter_mut().for_each(|m| change(&mut m.pid)),
        AnySection::Pending(pending) => {
            for info in &mut pending.signals.0 {
                if let Some(sender) = signals::sender(&mut info.0.0) {
                    *sender = one(seen, i32::from_le_bytes(*sender)).to_le_bytes();
                }
            }
        }
        AnySection::OpenFile(file) => {
            file.path.0 = path(seen, std::mem::take(&mut file.path.0));
        }
        _ => {}
    }
}

fn one(seen: &Seen, pid: i32) -> i32 {
    seen.get(&pid).copied().unwrap_or(pid)
}

fn path(seen: &Seen, path: Vec<u8>) -> Vec<u8> {
    proc::renumbered(&path, |pid| one(seen, pid)).unwrap_or(path)
}

fn of(seen: &Seen, number: u64) -> u64 {
    i32::try_from(number).ok().and_then(|n| seen.get(&n)).map_or(number, |n| *n as u64)
}
