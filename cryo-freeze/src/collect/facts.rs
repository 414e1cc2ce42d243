//! What /proc tells of a process in files that are read one by one: read beforehand, by several threads of ours where there are many processes (see
//! [`super::parallel`]), because each takes as long as a few system calls and there are a dozen.

use std::collections::HashMap;

use cryo_tracee::proc;

/// Files below /proc/PID that a collector asks for.
const FILES: [&str; 9] = [
    "attr/current",
    "autogroup",
    "auxv",
    "cgroup",
    "cmdline",
    "coredump_filter",
    "loginuid",
    "oom_score_adj",
    "timers",
];
/// Links.
const LINKS: [&str; 6] = ["cwd", "exe", "root", "ns/pid_for_children", "ns/time", "ns/time_for_children"];

/// What they say; what could not be read is missing.
#[derive(Default)]
pub struct Facts {
    files: HashMap<&'static str, Vec<u8>>,
    links: HashMap<&'static str, Vec<u8>>,
}

impl Facts {
    /// Those of process `pid`. Where we have nothing in a file the kernel was built without it: `ours` is what they say of us.
    pub fn of(pid: i32, ours: &HashMap<&'static str, Vec<u8>>) -> Self {
        let there = |file: &&str| ours.get(file).is_none_or(|text| !text.is_empty());
        let file = |file| Some((file, proc::bytes(pid, file).ok()?));
        let link = |link| Some((link, proc::link(pid, link).ok()?));
        Self {
            files: FILES.into_iter().filter(there).filter_map(file).collect(),
            links: LINKS.into_iter().filter_map(link).collect(),
        }
    }

    /// A file, if it was read.
    pub fn file(&self, name: &str) -> Option<&Vec<u8>> {
        self.files.get(name)
    }

    /// A link, if it was read.
    pub fn link(&self, name: &str) -> Option<&Vec<u8>> {
        self.links.get(name)
    }
}
