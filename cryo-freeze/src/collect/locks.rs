//! `LOCK`: locks on files, and leases.

use cryo_format::section::locks::{FLOCK, Lock, Locks, OFD, POSIX};

use super::description::{Cx, Description, Fd};
use super::objects::is_mapped;
use super::{RefusalKind, Scene, refuse};
use crate::Result;

const UNLOCKED: u32 = libc::F_UNLCK as u32;

/// Adds the locks of a description, if it has any.
pub fn collect<'c>(cx: &mut Cx<'c>, d: &'c Description<'c>) -> Result<()> {
    let mut locks = Locks { lease: UNLOCKED, ..Locks::default() };
    // fdinfo shows the description's own, and of POSIX locks those of the table that is looked at.
    for one in d.fds.chunk_by(|a, b| a.holder == b.holder) {
        of_table(cx, one[0], &mut locks, one[0].holder == d.first().holder);
    }
    // It would be given to a file that only one has open, and a mapping is another one.
    let meta = &d.first().meta;
    let maps = |scene: &Scene<'_>| scene.maps.iter().any(|m| is_mapped(meta, m));
    if locks.lease == libc::F_WRLCK as u32 && cx.scenes.iter().any(maps) {
        return refuse(
            RefusalKind::File,
            format!(
                "{}: it has a lease for writing (F_SETLEASE) on a file that is mapped, too, and both could not be had again: use --fd {}=null|FILE",
                d.first().name(),
                d.first().fd
            ),
        );
    }
    if locks.lease != UNLOCKED || !locks.locks.is_empty() {
        cx.out.add(d.id, locks);
    }
    Ok(())
}

/// Adds what the table with this descriptor has; and with `all` what the description has.
fn of_table(cx: &mut Cx<'_>, f: &Fd, locks: &mut Locks, all: bool) {
    let whose = cx.of(f).id;
    for line in f.info.all("lock") {
        let Some(seen) = Seen::parse(line) else {
            cx.out.note(f.name(), format!("its lock is shown in an unknown way and not in the image: {line}"));
            continue;
        };
        let kind = match seen.kind {
            "POSIX" => POSIX,
            _ if !all => continue,
            "OFDLCK" => OFD,
            "FLOCK" => FLOCK,
            "LEASE" if seen.state == "BREAKING" => {
                cx.out.note(f.name(), "its lease was being taken away, and is not in the image");
                continue;
            }
            "LEASE" => {
                locks.lease = if seen.write { libc::F_WRLCK } else { libc::F_RDLCK } as u32;
                continue;
            }
            other => {
                cx.out.note(f.name(), format!("a lock of the kind {other} is not in the image"));
                continue;
            }
        };
        let process = if kind == POSIX { whose } else { 0 };
        locks.locks.0.push(Lock { kind, write: seen.write.into(), start: seen.start, end: seen.end, process });
    }
}

/// A line of fdinfo: `1: POSIX  ADVISORY  WRITE 21341 fe:00:10010713 10 29`.
struct Seen<'a> {
    kind: &'a str,
    state: &'a str,
    write: bool,
    start: u64,
    end: u64,
}

impl<'a> Seen<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut words = line.split_whitespace().skip(1);
        let (kind, state) = (words.next()?, words.next()?);
        let write = words.next()? == "WRITE";
        let start = words.nth(2)?.parse().ok()?;
        let end = match words.next()? {
            "EOF" => i64::MAX as u64,
            end => end.parse().ok()?,
        };
        Some(Self { kind, state, write, start, end })
    }
}

#[cfg(test)]
mod tests {
    use super::Seen;

    #[test]
    fn as_the_kernel_writes_it() {
        let seen = |line| Seen::parse(line).map(|s| (s.kind, s.state, s.write, s.start, s.end)).unwrap();
        let all = i64::MAX as u64;
        assert_eq!(seen("1: FLOCK  ADVISORY  READ 25925 fe:00:10018862 0 EOF"), ("FLOCK", "ADVISORY", false, 0, all));
        assert_eq!(seen("2: POSIX  ADVISORY  WRITE 25925 fe:00:10018862 10 29"), ("POSIX", "ADVISORY", true, 10, 29));
        assert_eq!(seen("3: OFDLCK ADVISORY  WRITE -1 00:1c:7 5 EOF"), ("OFDLCK", "ADVISORY", true, 5, all));
        assert_eq!(seen("1: LEASE  BREAKING  READ 7 fe:00:10018862 0 EOF"), ("LEASE", "BREAKING", false, 0, all));
        // fs/locks.c lock_get_status: a lock whose file has no inode any more.
        assert_eq!(seen("1: POSIX  *NOINODE*  READ 7 <none>:0 1 2"), ("POSIX", "*NOINODE*", false, 1, 2));
    }

    #[test]
    fn not_understood() {
        let digits = "9".repeat(40);
        let long = format!("2: POSIX  ADVISORY  WRITE 25925 fe:00:1 0 {digits}");
        for line in [
            "",
            "1:",
            "1: POSIX",
            "1: POSIX ADVISORY WRITE 7 fe:00:1 0",
            "1: POSIX ADVISORY WRITE 7 fe:00:1 -1 5",
            &long,
        ] {
            assert!(Seen::parse(line).is_none(), "{line}");
        }
    }
}
