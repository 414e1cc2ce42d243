//! Children: they are not taken along yet, and a program that waits for them would wait in vain.

use cryo_tracee::proc::{self, Stat};

use super::{RefusalKind, refuse};
use crate::Result;
use crate::options::Children;

/// Refuses a process that has children, unless they are to be left behind. Returns their names then, for the notes.
///
/// Asked before the process stands still: where the kernel has no list of children, all of /proc is looked through.
pub fn check(pid: i32, choice: Children) -> Result<Vec<String>> {
    // A thread of the kernel, or somebody else's process: that is said first, by whoever tries to stop it.
    if proc::link(pid, "exe").is_err() {
        return Ok(Vec::new());
    }
    if choice == Children::Refuse && started_us(pid) {
        let comm = proc::bytes(pid, "comm").unwrap_or_default();
        return refuse(
            RefusalKind::Argument,
            format!(
                "process {pid} ({}) is the shell, or whatever it is, that has started this cryo-freeze and waits for it: type cryo-freeze {pid} in another \
             terminal",
                String::from_utf8_lossy(comm.trim_ascii_end())
            ),
        );
    }
    let names: Vec<String> = children(pid)
        .into_iter()
        .map(|child| {
            let comm = proc::bytes(child, "comm").unwrap_or_default();
            format!("{child} ({})", String::from_utf8_lossy(comm.trim_ascii_end()))
        })
        .collect();
    if names.is_empty() || choice == Children::Leave {
        return Ok(names);
    }
    refuse(
        RefusalKind::Children,
        format!(
            "process {pid} has children, which cannot be taken along yet: {}: wait for them to end, or use --children leave (it will not find them)",
            names.join(", ")
        ),
    )
}

/// Is it among our ancestors? It would wait for us, and we for it to stand still.
fn started_us(pid: i32) -> bool {
    let parent = |of: &i32| Stat::of(*of).and_then(|s| s.field(4)).ok().map(|parent| parent as i32).filter(|p| *p > 1);
    // A pid of 1 is a container's first process, and that is nobody's shell.
    std::iter::successors(parent(&(std::process::id() as i32)), parent).take(1000).any(|ancestor| ancestor == pid)
}

fn children(pid: i32) -> Vec<i32> {
    // CONFIG_PROC_CHILDREN: a list for each thread.
    let lists: Option<Vec<String>> = proc::tasks(pid)
        .unwrap_or_default()
        .iter()
        .map(|tid| std::fs::read_to_string(format!("/proc/{pid}/task/{tid}/children")).ok())
        .collect();
    if let Some(lists) = lists {
        return lists.iter().flat_map(|l| l.split_whitespace()).filter_map(|t| t.parse().ok()).collect();
    }
    let Ok(all) = std::fs::read_dir("/proc") else { return Vec::new() };
    all.flatten()
        .filter_map(|e| e.file_name().to_str()?.parse().ok())
        .filter(|child| Stat::of(*child).and_then(|s| s.field(4)).is_ok_and(|parent| parent == i64::from(pid)))
        .collect()
}
