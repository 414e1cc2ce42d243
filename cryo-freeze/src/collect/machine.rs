//! What can be known of this machine and of us before the process has to stand still.

use std::collections::HashMap;

use cryo_tracee::{cpu, proc, sched, timens};

use super::descriptions::Before;
use super::noticed::Noticed;
use super::other_holders::OtherHolders;
use super::semundo::Lists;
use crate::Result;
use crate::error::About;

/// The namespaces that a process is refused for (namespaces(7)), and how nsenter(1) is told to enter them. Time is carried, see
/// [`super::clocks`].
pub const NAMESPACES: [(&str, &str); 7] = [
    // As who we are: an ordinary user may do it so.
    ("user", "--user --preserve-credentials"),
    ("mnt", "--mount"),
    ("pid", "--pid"),
    ("net", "--net"),
    ("uts", "--uts"),
    ("ipc", "--ipc"),
    ("cgroup", "--cgroup"),
];

/// What is the same for every process that is frozen here.
pub struct Machine {
    /// CPUs that are online, as a mask for sched_setaffinity(2).
    pub online: Vec<u8>,
    /// Our own namespaces, in the order of [`NAMESPACES`].
    pub namespaces: Vec<Vec<u8>>,
    /// Entries of /proc/PID/ns, which are the same for every process, with where ours lead. `None`: nowhere yet.
    pub links: HashMap<String, Option<Vec<u8>>>,
    /// What /proc says of us, by the name of the file: `cgroup`, `limits`, and what a login gives.
    pub ours: HashMap<&'static str, Vec<u8>>,
    /// How far our clocks are ahead of the machine's.
    pub clocks_ahead: [i64; 2],
    /// Who has a list of what its end undoes to semaphores.
    pub undo_lists: Lists,
    /// What other processes have open and mapped.
    pub others: OtherHolders,
    /// Which descriptors of the processes were of one description.
    pub descriptions: Before,
    /// Which files are not to be opened; known when the processes stand still.
    pub noticed: Noticed,
}

impl Machine {
    /// Looks around, for these processes.
    pub fn look(pids: &[i32]) -> Result<Self> {
        cpu::brand_and_features(); // asked once, and kept there: under a hypervisor it takes a while
        let us = std::process::id() as i32;
        let undo_lists = Lists::look();
        Ok(Self {
            online: sched::online()?,
            namespaces: namespaces(us)?,
            links: links(us)?,
            ours: ["cgroup", "autogroup", "limits", "loginuid", "attr/current"]
                .map(|file| (file, proc::bytes(us, file).unwrap_or_default()))
                .into(),
            clocks_ahead: timens::offsets_of(us)?,
            undo_lists,
            others: OtherHolders::look(pids, undo_lists),
            descriptions: Before::look(pids),
            noticed: Noticed::default(),
        })
    }

    /// What the link to our own namespace of this kind says.
    pub fn namespace(&self, kind: &str) -> Option<&Vec<u8>> {
        self.namespaces.get(index(kind)?)
    }
}

/// The place of this kind in [`NAMESPACES`].
pub fn index(kind: &str) -> Option<usize> {
    NAMESPACES.iter().position(|(name, _)| *name == kind)
}

fn links(pid: i32) -> Result<HashMap<String, Option<Vec<u8>>>> {
    let path = format!("/proc/{pid}/ns");
    let names = std::fs::read_dir(&path).about(|| format!("reading {path}"))?.flatten();
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    Ok(names.map(|name| (name.clone(), proc::link(pid, &format!("ns/{name}")).ok())).collect())
}

/// What the links in /proc/PID/ns say, in the order of [`NAMESPACES`].
pub fn namespaces(pid: i32) -> Result<Vec<Vec<u8>>> {
    let links = NAMESPACES.iter().map(|(name, _)| proc::link(pid, &format!("ns/{name}")));
    Ok(links.collect::<cryo_tracee::Result<_>>()?)
}
