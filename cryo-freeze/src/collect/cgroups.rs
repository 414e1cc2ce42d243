//! Control groups (cgroups(7)). A thawed program is in those of who thaws it, as any program that is started; limits that it had beyond the freezer's own
//! are noted.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Collected, Scene};
use crate::Result;

/// Controller of version 1 (none for version 2), file, and what it holds where there is no limit.
const LIMITS: [(&str, &str, &[&str]); 8] = [
    ("", "memory.max", &["max"]),
    ("", "pids.max", &["max"]),
    ("", "cpu.max", &["max"]),
    ("", "cpuset.cpus", &[""]),
    // The largest number of whole pages.
    ("memory", "memory.limit_in_bytes", &["9223372036854771712"]),
    ("pids", "pids.max", &["max"]),
    ("cpu", "cpu.cfs_quota_us", &["-1"]),
    ("freezer", "freezer.state", &["THAWED"]),
];

/// Notes the limits of groups that we are not in.
pub fn note(scene: &Scene<'_>, out: &mut Collected) -> Result<()> {
    let theirs = scene.file("cgroup").unwrap_or_default();
    let Some(ours) = scene.machine.ours.get("cgroup").filter(|ours| **ours != theirs) else { return Ok(()) };
    let (theirs, ours) = (String::from_utf8_lossy(&theirs).into_owned(), String::from_utf8_lossy(ours).into_owned());
    for (hierarchy, path) in theirs.lines().filter_map(split) {
        let here = ours.lines().filter_map(split).find(|(h, _)| *h == hierarchy).map_or("/", |(_, path)| path);
        let limits = Path::new(path)
            .ancestors()
            .take_while(|group| !Path::new(here).starts_with(group))
            .flat_map(|group| limits(hierarchy, group));
        let limits: Vec<String> = limits.collect();
        if !limits.is_empty() {
            out.note(
                format!("cgroup {path}"),
                format!("not carried (it goes on in the thawer's), and so are its limits: {}", limits.join(", ")),
            );
        }
    }
    Ok(())
}

/// Controllers and path of a line of /proc/PID/cgroup.
fn split(line: &str) -> Option<(&str, &str)> {
    line.split_once(':')?.1.split_once(':')
}

/// The limits of one group, as `file=value`.
fn limits(hierarchy: &str, group: &Path) -> Vec<String> {
    let below = group.strip_prefix("/").unwrap_or(group);
    let of = |(controller, file, none): &(&str, &str, &[&str])| {
        if !hierarchy.split(',').any(|c| c == *controller) {
            return None;
        }
        // Where both versions are there, the second is in `unified`.
        let places = if controller.is_empty() { ["", "unified"] } else { [hierarchy, *controller] };
        let read =
            |place: &str| fs::read_to_string(PathBuf::from("/sys/fs/cgroup").join(place).join(below).join(file)).ok();
        let value = places.into_iter().find_map(read)?;
        let value = value.trim();
        // cpu.max is a quota and its period.
        let limited = !none.contains(&value.split(' ').next().unwrap_or_default());
        limited.then(|| format!("{file}={value}"))
    };
    LIMITS.iter().filter_map(of).collect()
}
