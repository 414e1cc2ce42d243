//! SysV shared memory (shmget(2)): what /proc/sysvipc/shm says of a segment. An object like any other shared memory, see [`super::objects`].

use std::ops::Range;

use cryo_format::prim::Addr;
use cryo_format::section::objects::{Object, ObjectKind};
use cryo_tracee::proc::Mapping;

use super::{RefusalKind, Scene, refuse};
use crate::Result;
use crate::error::About;

/// Describes the segment under `m`. The members have these offsets of it mapped, and with their copies it is `attached` so often.
pub fn describe(
    object: &mut Object,
    scene: &Scene<'_>,
    m: &Mapping,
    mut mapped: Vec<Range<u64>>,
    attached: u64,
) -> Result<()> {
    let path = "/proc/sysvipc/shm";
    let text = std::fs::read_to_string(path).about(|| format!("reading {path}"))?;
    let Some(segment) = Segment::find(&text, m.ino) else {
        return refuse(RefusalKind::Memory, format!("SysV shared memory {} is not in {path}", m.ino));
    };
    // The kernel counts mappings: one that mprotect(2) has split counts twice.
    if segment.attached > attached {
        return refuse(
            RefusalKind::Shared,
            format!(
                "memory {:x}-{:x} of process {} is SysV shared memory {}, which other processes have attached, too: end them first",
                m.start, m.end, scene.pid, m.ino
            ),
        );
    }
    // munmap(2) of a part leaves content that we cannot see.
    mapped.sort_unstable_by_key(|window| window.start);
    let seen = mapped.iter().fold(0, |to, window| if window.start <= to { to.max(window.end) } else { to });
    if seen < segment.size {
        return refuse(
            RefusalKind::Memory,
            format!(
                "memory {:x}-{:x} of process {} is a part of SysV shared memory {}, and the rest is not mapped: only whole segments are carried",
                m.start, m.end, scene.pid, m.ino
            ),
        );
    }
    object.kind = ObjectKind::SYSV_SHM;
    object.mode = segment.perms;
    object.size = segment.size;
    object.mtime_sec = segment.changed;
    object.shm = Addr(u64::from(segment.key as u32) | m.ino << 32);
    Ok(())
}

/// A line of /proc/sysvipc/shm: `key shmid perms size cpid lpid nattch uid gid cuid cgid atime dtime ctime ...`
#[derive(Debug, PartialEq, Eq)]
struct Segment {
    key: i32,
    perms: u32,
    size: u64,
    attached: u64,
    changed: i64,
}

impl Segment {
    /// Under its shmid, which is the inode's number as long as it is below 2^32. `None` also if its line is not understood.
    fn find(text: &str, ino: u64) -> Option<Self> {
        let mut lines = text.lines().map(|l| l.split_whitespace().collect::<Vec<_>>());
        let line = lines.find(|l| l.get(1).and_then(|id| id.parse().ok()) == Some(ino))?;
        Some(Self {
            key: line.first()?.parse().ok()?,
            perms: u32::from_str_radix(line.get(2)?, 8).ok()?,
            size: line.get(3)?.parse().ok()?,
            attached: line.get(6)?.parse().ok()?,
            changed: line.get(13)?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Segment;

    const HEAD: &str = "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime                   rss                  swap\n";

    #[test]
    fn as_the_kernel_writes_it() {
        let text = format!(
            "{HEAD}         0          0  1640                100000  4242  4242      2 65534 65534 65534 65534 1732500000          0 1732500001                  4096                     0\n\
             -559038737      32769   606                 12288  4242  4243      3     0     0     0     0 1732500000          0 1732500002                     0                     0\n"
        );
        let found = Segment::find(&text, 32769).unwrap();
        assert_eq!(
            found,
            Segment { key: -559_038_737, perms: 0o606, size: 12288, attached: 3, changed: 1_732_500_002 }
        );
        // The flag SHM_DEST stands above the permissions.
        assert_eq!(Segment::find(&text, 0).unwrap().perms, 0o1640);
        assert_eq!(Segment::find(&text, 7), None);
    }

    #[test]
    fn not_understood() {
        let digits = "9".repeat(40);
        for line in [
            format!("0 5 600 {digits} 1 1 1 0 0 0 0 1 0 1"),
            format!("{digits} 5 600 4096 1 1 1 0 0 0 0 1 0 1"),
            "0 5 689 4096 1 1 1 0 0 0 0 1 0 1".into(),
            "0 5 600 4096 1 1".into(),
            "0 5".into(),
        ] {
            assert_eq!(Segment::find(&format!("{HEAD}{line}\n"), 5), None, "{line}");
        }
        assert_eq!(Segment::find(HEAD, 5), None);
        assert_eq!(Segment::find("", 0), None);
    }
}
