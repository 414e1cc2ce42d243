//! Clocks that count from the start of the machine, and a time namespace in which they count on from elsewhere (time_namespaces(7)).

use std::fs;
use std::io;

use crate::error::Context;
use crate::{Error, Result, fault, proc};

const SECOND: i64 = 1_000_000_000;

/// How far CLOCK_MONOTONIC and CLOCK_BOOTTIME are ahead of the machine's for process `pid`, in nanoseconds.
pub fn offsets_of(pid: i32) -> Result<[i64; 2]> {
    fault::point().about(|| format!("reading the clocks of process {pid}"))?;
    offsets(&format!("/proc/{pid}/timens_offsets"))
}

/// CLOCK_MONOTONIC and CLOCK_BOOTTIME in nanoseconds, as we see them.
pub fn clocks() -> [i64; 2] {
    [libc::CLOCK_MONOTONIC, libc::CLOCK_BOOTTIME].map(|clock| {
        let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the kernel writes one timespec. Both clocks are there on every kernel.
        unsafe { libc::clock_gettime(clock, &raw mut t) };
        t.tv_sec * SECOND + t.tv_nsec
    })
}

/// `monotonic  1234  500` and `boottime  1234  500`. A kernel without time namespaces has no such file.
fn offsets(path: &str) -> Result<[i64; 2]> {
    let text = match fs::read_to_string(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok([0, 0]),
        other => other.about(|| format!("reading {path}"))?,
    };
    let offset = |name: &str| {
        let mut fields = text.lines().find_map(|l| l.strip_prefix(name))?.split_whitespace();
        let (sec, nsec): (i64, i64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        Some(sec * SECOND + nsec)
    };
    match (offset("monotonic"), offset("boottime")) {
        (Some(monotonic), Some(boottime)) => Ok([monotonic, boottime]),
        _ => Err(Error::Proc { file: path.into(), text }),
    }
}

/// Moves this process, and all that it starts from now on, into a time namespace in which the two clocks are `ahead` (nanoseconds) of what they
/// are now. It must have one thread, and CAP_SYS_ADMIN and CAP_SYS_TIME in its user namespace.
pub fn enter(ahead: [i64; 2]) -> Result<()> {
    let what = || "making a time namespace".to_owned();
    proc::one_thread("making a time namespace")?;
    let current = offsets("/proc/self/timens_offsets")?;
    // SAFETY: takes a number; only processes that are started later are concerned.
    if unsafe { libc::unshare(libc::CLONE_NEWTIME) } != 0 {
        return Err(Error::last(what()));
    }
    let [monotonic, boottime] = [0, 1].map(|i| {
        let ns = current[i] + ahead[i];
        format!("{} {}", ns.div_euclid(SECOND), ns.rem_euclid(SECOND))
    });
    fs::write("/proc/self/timens_offsets", format!("monotonic {monotonic}\nboottime {boottime}\n")).about(what)?;
    let namespace = fs::File::open("/proc/self/ns/time_for_children").about(what)?;
    rustix::thread::move_into_link_name_space(
        std::os::fd::AsFd::as_fd(&namespace),
        Some(rustix::thread::LinkNameSpaceType::Time),
    )
    .about(what)
}
