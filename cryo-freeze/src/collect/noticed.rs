//! Files that we do not open, because the processes would notice.
//!
//! A lease (F_SETLEASE of fcntl(2)) is taken away by each open(2), which waits for /proc/sys/fs/lease-break-time, 45 s, since its holder stands still. What a
//! process watches (inotify(7), fanotify(7)) tells it of our reading; and where it is asked for leave (FAN_OPEN_PERM) it cannot answer: open(2) would
//! not return, not even for SIGTERM. The content of such a file is read through the process's own mapping, or its own descriptor.

use std::collections::HashSet;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use cryo_tracee::proc::FdInfo;

use super::glance::Place;
use super::inodes;

/// Device and number of an inode.
type Inode = (u64, u64);

/// Which files these are.
#[derive(Default)]
pub struct Noticed {
    leased: HashSet<Inode>,
    /// Files, and directories with what is in them.
    watched: HashSet<Inode>,
    /// File systems.
    devices: HashSet<u64>,
}

impl Noticed {
    /// By the processes' own watches, and all leases of this machine.
    pub fn look(watches: &[Place]) -> Self {
        let mut noticed = Self { leased: leased(), ..Self::default() };
        for (pid, fd) in watches {
            let Ok(info) = FdInfo::of(*pid, *fd) else { continue };
            for line in info.0.lines() {
                let value = |key: &str| line.split_whitespace().find_map(|w| w.strip_prefix(key)?.strip_prefix(':'));
                let hex = |key| u64::from_str_radix(value(key)?, 16).ok();
                // fanotify marks inodes, mounts or file systems.
                match (hex("ino"), hex("sdev"), hex("mnt_id")) {
                    (Some(ino), Some(dev), _) => _ = noticed.watched.insert((inodes::device(dev), ino)),
                    (None, Some(dev), _) => _ = noticed.devices.insert(inodes::device(dev)),
                    (None, None, Some(id)) => {
                        noticed.devices.extend(inodes::mounts(*pid).iter().filter(|m| m.id == id).map(|m| m.dev));
                    }
                    _ => {}
                }
            }
        }
        noticed
    }

    /// Would it be noticed if the file at this path were opened?
    pub fn is(&self, path: &Path, meta: &Metadata) -> bool {
        has(&self.leased, meta)
            || self.devices.contains(&meta.dev())
            || has(&self.watched, meta)
            || !self.watched.is_empty()
                && path.parent().and_then(|dir| dir.metadata().ok()).is_some_and(|dir| has(&self.watched, &dir))
    }
}

/// File systems with devices of their own (btrfs, overlayfs: major 0) show another number there than stat(2) gives.
fn has(inodes: &HashSet<Inode>, meta: &Metadata) -> bool {
    let is = |(dev, ino): &Inode| *ino == meta.ino() && (*dev == meta.dev() || rustix::fs::major(*dev) == 0);
    inodes.iter().any(is)
}

/// The inodes with leases: `1: LEASE  ACTIVE    WRITE 4242 fe:00:10018862 0 EOF` (proc_locks(5)).
fn leased() -> HashSet<Inode> {
    let text = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    let inode = |line: &str| {
        let mut words = line.split_whitespace();
        let place = (words.nth(1)? == "LEASE").then(|| words.nth(3)).flatten()?;
        let mut numbers = place.split(':');
        let (major, minor) = (numbers.next()?, numbers.next()?);
        let dev = rustix::fs::makedev(u32::from_str_radix(major, 16).ok()?, u32::from_str_radix(minor, 16).ok()?);
        Some((dev, numbers.next()?.parse().ok()?))
    };
    text.lines().filter_map(inode).collect()
}
