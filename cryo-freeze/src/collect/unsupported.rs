//! What no collector carries yet is refused here, by name: never a silent loss.

use cryo_tracee::proc;

use super::{Scene, refuse};
use crate::Result;

/// Refuses what would be lost.
pub fn check(scene: &Scene<'_>) -> Result<()> {
    let pid = scene.pid;
    if scene.status.number("Seccomp").unwrap_or(0) != 0 {
        return refuse(format!(
            "process {pid} runs under a seccomp filter, which is not carried yet: start it without one to freeze it"
        ));
    }
    for ns in ["mnt", "pid", "user", "net", "uts", "ipc", "cgroup", "time"] {
        let (theirs, ours) = (proc::link(pid, &format!("ns/{ns}"))?, proc::link(std::process::id() as i32, &format!("ns/{ns}"))?);
        if theirs != ours {
            return refuse(format!(
                "process {pid} lives in another {ns} namespace than cryo-freeze: run cryo-freeze inside it (nsenter --target {pid} --all)"
            ));
        }
    }
    for m in &scene.maps {
        let what = [("ss", "a shadow stack"), ("um", "registered with userfaultfd"), ("uw", "registered with userfaultfd"), ("ht", "made of huge TLB pages")]
            .into_iter()
            .find(|(flag, _)| m.has(flag));
        if let Some((_, what)) = what {
            return refuse(format!("memory {:x}-{:x} of process {pid} is {what}, which is not carried yet", m.start, m.end));
        }
    }
    Ok(())
}
