//! Who is frozen besides a process and its descendants: those of its session, or of a control group.

use std::fs;
use std::path::{Path, PathBuf};

use cryo_tracee::proc::Stat;

use super::{RefusalKind, refuse};
use crate::Result;
use crate::error::About;
use crate::options::Also;
use crate::refused::{ancestors, short};

/// Where control groups are.
const CGROUPS: &str = "/sys/fs/cgroup";

/// They, with the process itself, parents before their children.
pub fn chosen(pid: i32, also: &Also) -> Result<Vec<i32>> {
    let (mut all, what) = match also {
        Also::Nobody => return Ok(Vec::new()),
        Also::Session => {
            let session = Stat::of(pid)?.field(6)?;
            let everybody = fs::read_dir("/proc").about(|| "reading /proc".into())?.flatten();
            let pids = everybody.filter_map(|e| e.file_name().to_str()?.parse().ok());
            let inside = |pid: &i32| Stat::of(*pid).and_then(|s| s.field(6)).is_ok_and(|of| of == session);
            (pids.filter(inside).collect(), format!("session {session}"))
        }
        Also::Cgroup(path) => {
            let path = directory(path)?;
            let mut all = Vec::new();
            members(&path, &mut all)?;
            if !all.contains(&pid) {
                return refuse(
                    RefusalKind::Argument,
                    format!("process {pid} is not in control group {}", path.display()),
                );
            }
            (all, format!("control group {}", path.display()))
        }
    };
    let (ours, ancestors) = (std::process::id() as i32, ancestors());
    if let Some(one) = all.iter().find(|one| **one == ours || ancestors.contains(*one)) {
        let who = if *one == ours {
            "this cryo-freeze".to_owned()
        } else {
            format!("{}, which has started this cryo-freeze,", short(*one))
        };
        return refuse(
            RefusalKind::Argument,
            format!("{who} is in {what}, too: start cryo-freeze in another session and control group"),
        );
    }
    // A parent is older than its children, also if it is one by PR_SET_CHILD_SUBREAPER.
    all.sort_by_cached_key(|pid: &i32| (Stat::of(*pid).and_then(|s| s.field(22)).unwrap_or(i64::MAX), *pid));
    all.dedup();
    Ok(all)
}

fn directory(path: &Path) -> Result<PathBuf> {
    let is = |path: &PathBuf| path.join("cgroup.procs").exists();
    let below = Path::new(CGROUPS).join(path.strip_prefix("/").unwrap_or(path));
    match [path.to_owned(), below].into_iter().find(is) {
        Some(found) => Ok(found),
        None => refuse(
            RefusalKind::Argument,
            format!("{} is no control group: name its directory under {CGROUPS}", path.display()),
        ),
    }
}

/// Those of a control group and of all below it.
fn members(path: &Path, all: &mut Vec<i32>) -> Result<()> {
    let about = || format!("reading {}", path.display());
    let text = fs::read_to_string(path.join("cgroup.procs")).about(about)?;
    for pid in text.split_whitespace().filter_map(|pid| pid.parse::<i32>().ok()) {
        if pid == 0 {
            return refuse(
                RefusalKind::Argument,
                format!(
                    "control group {} has a process of another pid namespace, which cannot be seen here",
                    path.display()
                ),
            );
        }
        all.push(pid);
    }
    let entries = fs::read_dir(path).about(about)?.flatten();
    let below = entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path());
    // One that has been removed meanwhile has nobody in it.
    below.filter(|path| path.exists()).try_for_each(|path| match members(&path, all) {
        Err(_) if !path.exists() => Ok(()),
        read => read,
    })
}
