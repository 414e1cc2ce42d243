//! What no collector carries yet is refused here, by name: never a silent loss.

use std::os::unix::ffi::OsStringExt;

use cryo_tracee::proc::{self, Mapping};

use super::machine::{NAMESPACES, namespaces};
use super::{RefusalKind, Scene, parallel, refuse};
use crate::Result;

/// Refuses what would be lost.
pub fn check(scene: &Scene<'_>) -> Result<()> {
    let pid = scene.pid;
    same_namespaces(scene)?;
    other_namespaces(scene)?;
    // arch_prctl(2), ARCH_ENABLE_TAGGED_ADDR.
    if scene.status.text("untag_mask").is_some_and(|mask| mask != "0xffffffffffffffff") {
        return refuse(
            RefusalKind::Memory,
            format!("process {pid} uses tagged addresses (Linear Address Masking), which are not carried yet"),
        );
    }
    for status in &scene.threads {
        if let Some(feature) = status.text("x86_Thread_features").and_then(thread_feature) {
            return refuse(
                RefusalKind::Thread,
                format!(
                    "thread {} of process {pid} uses a feature of the CPU that is not carried (x86_Thread_features: {feature})",
                    status.number("Pid").unwrap_or(0)
                ),
            );
        }
    }
    if let Some(m) = scene.maps.iter().find(|m| m.path == b"/secretmem (deleted)") {
        return refuse(
            RefusalKind::Memory,
            format!(
                "memory {:x}-{:x} of process {pid} is secret (memfd_secret(2)): nobody but the process itself may read it, and so it cannot be in an image",
                m.start, m.end
            ),
        );
    }
    for m in &scene.maps {
        if let Some(flag) = unknown_flag(m) {
            return refuse(
                RefusalKind::Memory,
                format!(
                    "memory {:x}-{:x} of process {pid} is of a kind that this release does not know (VmFlags in /proc/{pid}/smaps: {flag}): a newer cryo-freeze may",
                    m.start, m.end
                ),
            );
        }
        let userfaultfd = "registered with userfaultfd (a program thawed with --lazy is, until its cryo-filler has ended: try again then)";
        let what = [("ss", "a shadow stack"), ("um", userfaultfd), ("uw", userfaultfd)]
            .into_iter()
            .find(|(flag, _)| m.has(flag));
        if let Some((_, what)) = what {
            return refuse(
                RefusalKind::Memory,
                format!("memory {:x}-{:x} of process {pid} is {what}, which is not carried yet", m.start, m.end),
            );
        }
    }
    Ok(())
}

/// All that Documentation/filesystems/proc.rst of Linux 6.18 lists, and what it forgot (fs/proc/task_mmu.c, show_smap_vma_flags).
const KNOWN_FLAGS: &str = "rd wr ex sh mr mw me ms gd pf dw lo io sr rr dc de ac nr ht sf nl ar wf dd sd mm hg nh mg bt mt um uw ui ss sl lf dp gu";

/// A word among the VmFlags of a mapping that is none of those that this release knows: what a later kernel has added to mappings.
pub fn unknown_flag(m: &Mapping) -> Option<String> {
    let known = |flag: &[u8; 2]| KNOWN_FLAGS.split(' ').any(|known| known.as_bytes() == flag);
    m.flags.iter().find(|flag| !known(flag)).map(|flag| String::from_utf8_lossy(flag).into_owned())
}

/// The first word of x86_Thread_features in /proc/PID/status: `shstk` (shadow stacks), `wrss`, or what a later kernel has. (Those that are locked, in the
/// next line, nobody uses for that.)
pub fn thread_feature(words: &str) -> Option<&str> {
    words.split_whitespace().next()
}

/// Entries of /proc/PID/ns of Linux 6.18.
const KNOWN_NAMESPACES: [&str; 10] =
    ["cgroup", "ipc", "mnt", "net", "pid", "pid_for_children", "time", "time_for_children", "user", "uts"];

/// An entry of /proc/PID/ns that is none of those that this release knows, and leads elsewhere than for us. Each with what it says for the process, and
/// for us.
pub fn unknown_namespace<'n>(
    mut all: impl Iterator<Item = (&'n str, Option<Vec<u8>>, Option<Vec<u8>>)>,
) -> Option<&'n str> {
    all.find(|(name, theirs, ours)| !KNOWN_NAMESPACES.contains(name) && theirs != ours).map(|(name, ..)| name)
}

/// Refuses a process whose next children would be born elsewhere than it was (unshare(2), CLONE_NEWPID and CLONE_NEWTIME), and one in a namespace of an
/// unknown kind.
fn other_namespaces(scene: &Scene<'_>) -> Result<()> {
    let (pid, ours) = (scene.live_tid, &scene.machine.links);
    let says = |name: &str| match name {
        "pid" => scene.namespace(name).cloned(),
        _ => scene.link(&format!("ns/{name}")).ok(),
    };
    for (kind, name) in [("pid", "pid_for_children"), ("time", "time_for_children")] {
        // There is none as long as none of them has been born.
        if ours.get(name).is_some_and(Option::is_some) && says(name) != says(kind) {
            return refuse(
                RefusalKind::Namespace,
                format!(
                    "process {} has made a {kind} namespace for its children (unshare(2)), in which it is not itself, which is not carried: freeze it \
                     before it does so",
                    scene.pid
                ),
            );
        }
    }
    // To read where each leads takes longer than all else here.
    let others = ours.iter().filter(|(name, _)| !KNOWN_NAMESPACES.contains(&name.as_str()));
    match unknown_namespace(others.map(|(name, ours)| (name.as_str(), says(name), ours.clone()))) {
        Some(name) => refuse(
            RefusalKind::Namespace,
            format!(
                "process {} is in a namespace of a kind that this release does not know (/proc/{pid}/ns/{name}): a newer cryo-freeze may",
                scene.pid
            ),
        ),
        None => Ok(()),
    }
}

/// Refuses threads that have left what the others share (unshare(2), setns(2)).
pub fn threads(scene: &Scene<'_>, tids: &[i32]) -> Result<()> {
    let Some((first, others)) = tids.split_first() else { return Ok(()) };
    if others.is_empty() {
        return Ok(());
    }
    let common = namespaces(*first)?;
    parallel::each(others, parallel::THREADS, |tid| thread(scene.pid, *tid, &common)).map(drop)
}

fn thread(pid: i32, tid: i32, common: &[Vec<u8>]) -> Result<()> {
    let own = namespaces(tid)?;
    match NAMESPACES.iter().zip(own.iter().zip(common)).find(|(_, (own, common))| own != common) {
        Some(((name, _), _)) => refuse(
            RefusalKind::Thread,
            format!(
                "thread {tid} of process {pid} has a namespace ({name}) of its own (unshare(2), setns(2)), which is not carried yet: freeze the process when \
                 that thread has ended"
            ),
        ),
        None => Ok(()),
    }
}

/// Refuses a process that does not see what we see.
fn same_namespaces(scene: &Scene<'_>) -> Result<()> {
    let pid = scene.pid;
    let differing =
        NAMESPACES.iter().zip(scene.namespaces.iter().zip(&scene.machine.namespaces)).filter(|(_, (t, o))| t != o);
    let (names, words): (Vec<&str>, Vec<&str>) = differing.map(|(ns, _)| *ns).unzip();
    let made = |ns: &&str| matches!(*ns, "mnt" | "pid" | "user");
    if names.is_empty()
        || names.iter().all(made) && in_our_namespace(pid)
        || names == ["mnt"] && same_mounts(scene.live_tid)
    {
        return Ok(());
    }
    // Inside, /proc has to be the one of its pid namespace. (unshare -p without --mount-proc leaves it the one that it came from.)
    let proc_too = if names.contains(&"pid") && !has_own_proc(pid) { "unshare --mount-proc " } else { "" };
    let inner = proc::Status::of(pid)?.inner("NSpid").unwrap_or(pid as u64);
    // Called by the pid that it has here, as anywhere; and the first process of a namespace can be ended from outside only.
    let name = if inner == pid as u64 { String::new() } else { format!(" -o {pid}") };
    let end = if inner == 1 { format!(" --leave-running && kill -KILL {pid}") } else { String::new() };
    refuse(
        RefusalKind::Namespace,
        format!(
            "process {pid} lives in other namespaces ({}) than cryo-freeze: freeze it from inside: nsenter --target {pid} --wd=. {} {proc_too}cryo-freeze \
         {inner}{name}{end}",
            names.join(", "),
            words.join(" ")
        ),
    )
}

/// Is the /proc that it sees the one of its own pid namespace? Then the first process there is one of that namespace.
fn has_own_proc(pid: i32) -> bool {
    let own = proc::link(pid, "ns/pid").ok();
    let first = std::fs::read_link(format!("/proc/{pid}/root/proc/1/ns/pid")).ok();
    own.is_some() && own == first.map(|link| link.into_os_string().into_vec())
}

/// Do the mounts that it sees and ours differ in nothing but /proc? Then a path means the same: a mount namespace was only made to see its processes.
fn same_mounts(pid: i32) -> bool {
    let (theirs, ours) = (mounts(pid), mounts(std::process::id() as i32));
    theirs.is_some() && theirs == ours
}

/// Device, root and place of each mount but those of procfs, in the order of places (proc_pid_mountinfo(5)).
fn mounts(pid: i32) -> Option<Vec<[Vec<u8>; 3]>> {
    let text = proc::bytes(pid, "mountinfo").ok()?;
    let mut all = Vec::new();
    for line in text.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        let mut words = line.split(|b| *b == b' ');
        let [_, _, device, root, place] = std::array::from_fn(|_| words.next().unwrap_or_default().to_vec());
        let kind = words.skip_while(|word| *word != b"-").nth(1)?;
        if kind != b"proc" {
            all.push([device, root, place]);
        }
    }
    // Stable: of what is mounted at one place the last one counts.
    all.sort_by(|a, b| a[2].cmp(&b[2]));
    Some(all)
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
