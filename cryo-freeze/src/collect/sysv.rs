//! SysV shared memory (shmget(2)): what /proc/sysvipc/shm says of a segment. An object like any other shared memory, see [`super::objects`].

use cryo_format::prim::Addr;
use cryo_format::section::objects::{Object, ObjectKind};
use cryo_tracee::proc::Mapping;

use super::{Scene, refuse};
use crate::Result;
use crate::error::About;

/// Describes the segment under `m`. `processes` is how many share the mappings of the process: itself, and its copy.
pub fn describe(object: &mut Object, scene: &Scene<'_>, m: &Mapping, processes: u64) -> Result<()> {
    let path = "/proc/sysvipc/shm";
    let text = std::fs::read_to_string(path).about(|| format!("reading {path}"))?;
    // shmid is the inode's number, as long as it is below 2^32.
    let Some(line) = text
        .lines()
        .map(|l| l.split_whitespace().collect::<Vec<_>>())
        .find(|l| l.get(1).and_then(|id| id.parse().ok()) == Some(m.ino))
    else {
        return refuse(format!("SysV shared memory {} is not in {path}", m.ino));
    };
    // key shmid perms size cpid lpid nattch uid gid cuid cgid atime dtime ctime ...
    let number = |i: usize| line.get(i).and_then(|n| n.parse::<i64>().ok()).unwrap_or(0);
    let perms = line.get(2).and_then(|n| u32::from_str_radix(n, 8).ok()).unwrap_or(0);
    // The kernel counts mappings: one that mprotect(2) has split counts twice.
    let own = scene.maps.iter().filter(|o| (o.dev, o.ino) == (m.dev, m.ino)).count() as u64 * processes;
    if number(6) as u64 > own {
        return refuse(format!(
            "memory {:x}-{:x} of process {} is SysV shared memory {}, which other processes have attached, too: end them first",
            m.start, m.end, scene.pid, m.ino
        ));
    }
    // munmap(2) of a part leaves content that we cannot see.
    let mut parts: Vec<(u64, u64)> = scene
        .maps
        .iter()
        .filter(|o| (o.dev, o.ino) == (m.dev, m.ino))
        .map(|o| (o.offset, o.offset + (o.end - o.start)))
        .collect();
    parts.sort_unstable();
    let seen = parts.iter().fold(0, |to, p| if p.0 <= to { to.max(p.1) } else { to });
    if seen < number(3) as u64 {
        return refuse(format!(
            "memory {:x}-{:x} of process {} is a part of SysV shared memory {}, and the rest is not mapped: only whole segments are carried",
            m.start, m.end, scene.pid, m.ino
        ));
    }
    object.kind = ObjectKind::SYSV_SHM;
    object.mode = perms;
    object.size = number(3) as u64;
    object.mtime_sec = number(13);
    object.shm = Addr(u64::from(number(0) as u32) | m.ino << 32);
    Ok(())
}
