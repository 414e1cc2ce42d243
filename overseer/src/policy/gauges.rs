//! What is read from the machine while a program runs: memory in use, time lost waiting for memory, load.

use std::fs;
use std::path::{Path, PathBuf};

use cryo_tracee::proc::Meminfo;

/// How much of the memory that process `pid` may have is in use, in percent: of the control groups it is in, and of the machine, the fullest. Pages of
/// files that nobody has used for long are given back when they are wanted, and do not count.
pub fn memory(pid: i32) -> Option<f64> {
    let groups = groups(pid).into_iter().filter_map(|dir| {
        let number = |name: &str| fs::read_to_string(dir.join(name)).ok()?.trim().parse::<f64>().ok();
        let idle = |name: &str| field(&fs::read_to_string(dir.join("memory.stat")).ok()?, name);
        // Version 2, then version 1 of control groups.
        let v2 = || Some((number("memory.current")?, number("memory.max")?, idle("inactive_file")?));
        let v1 =
            || Some((number("memory.usage_in_bytes")?, number("memory.limit_in_bytes")?, idle("total_inactive_file")?));
        let (used, limit, idle) = v2().or_else(v1)?;
        Some((used - idle).max(0.0) / limit * 100.0)
    });
    groups.chain(machine(&Meminfo::now())).reduce(f64::max)
}

/// The share of the last ten seconds, in percent, in which some process had to wait for memory (PSI): in the program's control group where that tells it,
/// else on the whole machine.
pub fn pressure(pid: i32) -> Option<f64> {
    let own = groups(pid).into_iter().map(|dir| dir.join("memory.pressure")).find(|path| path.exists());
    some(&fs::read_to_string(own.unwrap_or("/proc/pressure/memory".into())).ok()?)
}

/// The load of the last minute (`proc_loadavg(5)`).
pub fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

/// The directories of the control groups that limit its memory, its own first, then those above.
fn groups(pid: i32) -> Vec<PathBuf> {
    let cgroup = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut all = Vec::new();
    for (mount, root, v2) in mounts.lines().filter_map(mount) {
        let of = |line: &&str| if v2 { line.starts_with("0::") } else { line.contains(":memory:") };
        let Some(path) = cgroup.lines().find(of).and_then(|line| line.splitn(3, ':').nth(2)) else { continue };
        // What is mounted may be a part of the hierarchy, as in a container.
        let below = path.strip_prefix(root.trim_end_matches('/')).unwrap_or(path);
        let dir = Path::new(mount).join(below.trim_start_matches('/'));
        all.extend(dir.ancestors().take_while(|dir| dir.starts_with(mount)).map(Path::to_owned));
    }
    all
}

/// A line of mountinfo (`proc_pid_mountinfo(5)`), if it is a hierarchy of control groups that knows of memory: where it is, its root, is it version 2?
fn mount(line: &str) -> Option<(&str, &str, bool)> {
    let (before, after) = line.split_once(" - ")?;
    let mut words = before.split(' ').skip(3);
    let (root, mount) = (words.next()?, words.next()?);
    let mut words = after.split(' ');
    let (kind, options) = (words.next()?, words.nth(1)?);
    match kind {
        "cgroup2" => Some((mount, root, true)),
        "cgroup" if options.split(',').any(|option| option == "memory") => Some((mount, root, false)),
        _ => None,
    }
}

/// What is not available of all the memory of the machine.
#[allow(clippy::cast_precision_loss)] // a share, in percent
fn machine(meminfo: &Meminfo) -> Option<f64> {
    Some(100.0 - meminfo.bytes("MemAvailable")? as f64 / meminfo.bytes("MemTotal")? as f64 * 100.0)
}

/// A number behind its name, at the beginning of a line.
fn field(text: &str, name: &str) -> Option<f64> {
    let mut lines = text.lines().map(str::split_whitespace);
    lines.find_map(|mut words| if words.next() == Some(name) { words.next()?.parse().ok() } else { None })
}

/// From a PSI file: `some avg10=1.23 avg60=...`.
fn some(psi: &str) -> Option<f64> {
    let line = psi.lines().find_map(|line| line.strip_prefix("some "))?;
    line.split(' ').find_map(|word| word.strip_prefix("avg10="))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_kernel_are_read() {
        let meminfo = "MemTotal:       1000 kB\nMemFree:         100 kB\nMemAvailable:    250 kB\n";
        assert_eq!(machine(&Meminfo::of(meminfo)), Some(75.0));
        assert_eq!(some("some avg10=12.50 avg60=1.00 avg300=0.00 total=9\nfull avg10=3.00\n"), Some(12.5));
        assert_eq!(field("inactive_file_x 1\ninactive_file 7\n", "inactive_file"), Some(7.0));
        let line = "31 23 0:26 /docker/x /sys/fs/cgroup/memory rw,nosuid shared:9 - cgroup cgroup rw,memory";
        assert_eq!(mount(line), Some(("/sys/fs/cgroup/memory", "/docker/x", false)));
        let line = "35 24 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate";
        assert_eq!(mount(line), Some(("/sys/fs/cgroup", "/", true)));
        assert_eq!(mount("22 1 0:20 / /proc rw - proc proc rw"), None);
    }

    #[test]
    fn this_machine_tells_them() {
        let own = std::process::id() as i32;
        let used = memory(own).unwrap();
        assert!(used > 0.0 && used < 100.0, "{used}");
        assert!(load().unwrap() >= 0.0);
        if Path::new("/proc/pressure/memory").exists() {
            assert!(pressure(own).unwrap() >= 0.0);
        }
    }
}
