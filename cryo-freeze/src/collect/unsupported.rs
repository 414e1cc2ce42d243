//! What no collector carries yet is refused here, by name: never a silent loss.

use cryo_tracee::proc;

use super::{Scene, refuse};
use crate::Result;

/// Refuses what would be lost.
pub fn check(scene: &Scene<'_>) -> Result<()> {
    let pid = scene.pid;
    let ours = in_our_namespace(pid);
    for ns in ["mnt", "pid", "user", "net", "uts", "ipc", "cgroup"] {
        let name = format!("ns/{ns}");
        let differs = proc::link(pid, &name)? != proc::link(std::process::id() as i32, &name)?;
        if differs && !(ours && matches!(ns, "mnt" | "pid" | "user")) {
            return refuse(format!(
                "process {pid} lives in another {ns} namespace than cryo-freeze: run cryo-freeze inside it (nsenter --target {pid} --all)"
            ));
        }
    }
    for m in &scene.maps {
        let what = [
            ("ss", "a shadow stack"),
            ("um", "registered with userfaultfd"),
            ("uw", "registered with userfaultfd"),
            ("ht", "made of huge TLB pages"),
        ]
        .into_iter()
        .find(|(flag, _)| m.has(flag));
        if let Some((_, what)) = what {
            return refuse(format!(
                "memory {:x}-{:x} of process {pid} is {what}, which is not carried yet",
                m.start, m.end
            ));
        }
    }
    Ok(())
}

/// Does it live in a namespace that a thaw has made for it? Then its ids there are carried, and nothing else differs from outside.
fn in_our_namespace(pid: i32) -> bool {
    let mut at = pid;
    for _ in 0..1000 {
        let comm = proc::bytes(at, "comm").unwrap_or_default();
        if comm.trim_ascii_end() == cryo_tracee::namespace::INIT.as_bytes() {
            return true;
        }
        match proc::Status::of(at).ok().and_then(|s| s.number("PPid")) {
            Some(parent) if parent > 1 => at = parent as i32,
            _ => return false,
        }
    }
    false
}
