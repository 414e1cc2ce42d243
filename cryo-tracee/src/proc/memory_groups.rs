//! Control groups that limit memory (cgroups(7)), of version 2 or 1.

use std::fs;
use std::path::{Path, PathBuf};

/// One of them: its directory.
pub struct MemoryGroup(pub PathBuf);

impl MemoryGroup {
    /// Those that a process is in, its own first, then those above.
    pub fn of(pid: i32) -> Vec<Self> {
        let cgroup = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let mut all = Vec::new();
        for (mount, root, v2) in mounts.lines().filter_map(mount) {
            let of = |line: &&str| if v2 { line.starts_with("0::") } else { line.contains(":memory:") };
            let Some(path) = cgroup.lines().find(of).and_then(|line| line.splitn(3, ':').nth(2)) else { continue };
            // What is mounted may be a part of the hierarchy, as in a container.
            let below = path.strip_prefix(root.trim_end_matches('/')).unwrap_or(path);
            let dir = Path::new(mount).join(below.trim_start_matches('/'));
            all.extend(dir.ancestors().take_while(|dir| dir.starts_with(mount)).map(|dir| Self(dir.to_owned())));
        }
        all
    }

    /// Bytes in use and their limit, if there is one. Pages of files that nobody has used for long are given back when they are wanted, and do not count.
    pub fn used_of_limit(&self) -> Option<(u64, u64)> {
        let number = |name: &str| fs::read_to_string(self.0.join(name)).ok()?.trim().parse::<u64>().ok();
        let idle = |name: &str| field(&fs::read_to_string(self.0.join("memory.stat")).ok()?, name);
        let v2 = || Some((number("memory.current")?, number("memory.max")?, idle("inactive_file")?));
        let v1 =
            || Some((number("memory.usage_in_bytes")?, number("memory.limit_in_bytes")?, idle("total_inactive_file")?));
        let (used, limit, idle) = v2().or_else(v1)?;
        Some((used.saturating_sub(idle), limit))
    }
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

/// A number behind its name, at the beginning of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().map(str::split_whitespace);
    lines.find_map(|mut words| if words.next() == Some(name) { words.next()?.parse().ok() } else { None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_kernel_are_read() {
        assert_eq!(field("inactive_file_x 1\ninactive_file 7\n", "inactive_file"), Some(7));
        let line = "31 23 0:26 /docker/x /sys/fs/cgroup/memory rw,nosuid shared:9 - cgroup cgroup rw,memory";
        assert_eq!(mount(line), Some(("/sys/fs/cgroup/memory", "/docker/x", false)));
        let line = "35 24 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate";
        assert_eq!(mount(line), Some(("/sys/fs/cgroup", "/", true)));
        assert_eq!(mount("22 1 0:20 / /proc rw - proc proc rw"), None);
    }
}
