//! Threads that have left what the threads of a process share: its table of descriptors, or its directory and umask (unshare(2), clone(2)).

use cryo_tracee::fds::{self, Shared};
use cryo_tracee::proc::Status;

use super::{RefusalKind, Scene, refuse};
use crate::Result;

/// Such a thread.
pub struct Parted<'s> {
    /// Its process.
    pub scene: &'s Scene<'s>,
    /// Its id.
    pub tid: i32,
    /// Its local id.
    pub id: u64,
    /// /proc/PID/task/TID/status.
    pub status: &'s Status,
    /// Local id of the thread of the same process that it shares with, which made it; 0 if it is the first that has it.
    pub shared_with: u64,
}

/// Those of all members. Refuses one that shares with another process than its own; `what` is what they share, for the message.
pub fn look<'s>(scenes: &'s [Scene<'s>], shared: Shared, what: &str) -> Result<Vec<Parted<'s>>> {
    let mut all: Vec<Parted<'_>> = Vec::new();
    for scene in scenes {
        let mut threads: Vec<(i32, u64, &Status)> = Vec::new();
        for (status, id) in scene.threads.iter().zip(&scene.thread_ids) {
            let tid = status.number("Pid").unwrap_or(0) as i32;
            if !fds::share(scene.live_tid, tid, shared) {
                threads.push((tid, *id, status));
            }
        }
        // In this order they are made again.
        threads.sort_by_key(|(tid, ..)| *tid);
        for (tid, id, status) in threads {
            let first = all.iter().find(|own| own.shared_with == 0 && fds::share(own.tid, tid, shared));
            let elsewhere = match first {
                Some(own) => (own.scene.id != scene.id).then_some(own.scene),
                None => scenes.iter().find(|other| fds::share(other.live_tid, tid, shared)),
            };
            if let Some(other) = elsewhere {
                return refuse(
                    RefusalKind::Thread,
                    format!(
                        "thread {tid} of {} has {what} in common with {}, and not with its own process, which is not carried: \
                         freeze them when that thread has ended",
                        scene.name(),
                        other.name()
                    ),
                );
            }
            let shared_with = first.map_or(0, |own| own.id);
            all.push(Parted { scene, tid, id, status, shared_with });
        }
    }
    Ok(all)
}

/// Refuses a thread that shares one with a thread and not the other: whoever makes it hands down both.
pub fn check(directories: &[Parted<'_>], tables: &[Parted<'_>]) -> Result<()> {
    // Whose it has: its process's (0), its own, or another thread's.
    let whose = |of: &[Parted<'_>], id: u64| {
        of.iter().find(|p| p.id == id).map_or(0, |p| if p.shared_with == 0 { id } else { p.shared_with })
    };
    for (these, those) in [(directories, tables), (tables, directories)] {
        for p in these.iter().filter(|p| p.shared_with != 0) {
            let other = whose(those, p.id);
            if other != p.id && other != whose(those, p.shared_with) {
                return refuse(
                    RefusalKind::Thread,
                    format!(
                        "thread {} of {} shares its directory and its table of descriptors with different threads (clone(2)), which is not carried: \
                         freeze them when that thread has ended",
                        p.tid,
                        p.scene.name()
                    ),
                );
            }
        }
    }
    Ok(())
}
