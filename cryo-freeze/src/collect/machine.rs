//! What can be known of this machine and of us before the process has to stand still.

use cryo_tracee::{cpu, proc, sched};

use super::other_holders::OtherHolders;
use crate::Result;

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
    /// What other processes have open and mapped.
    pub others: OtherHolders,
}

impl Machine {
    /// Looks around, for these processes.
    pub fn look(pids: &[i32]) -> Result<Self> {
        cpu::brand_and_features(); // asked once, and kept there: under a hypervisor it takes a while
        let namespaces = namespaces(std::process::id() as i32)?;
        Ok(Self { online: sched::online()?, namespaces, others: OtherHolders::look(pids) })
    }

    /// What the link to our own namespace of this kind says.
    pub fn namespace(&self, kind: &str) -> Option<&Vec<u8>> {
        self.namespaces.get(NAMESPACES.iter().position(|(name, _)| *name == kind)?)
    }
}

/// What the links in /proc/PID/ns say.
pub fn namespaces(pid: i32) -> Result<Vec<Vec<u8>>> {
    let links = NAMESPACES.iter().map(|(name, _)| proc::link(pid, &format!("ns/{name}")));
    Ok(links.collect::<cryo_tracee::Result<_>>()?)
}
