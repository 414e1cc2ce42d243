//! Why the kernel does not let us trace a process, in words (ptrace(2), "Ptrace access mode checking"), and names of processes for messages.

use cryo_tracee::proc::{self, Stat, Status};

use crate::error::{Error, Untraceable};

/// linux/capability.h.
const CAP_SYS_PTRACE: u32 = 19;

/// `e` came from the attempt to seize `pid`: says what stands in the way.
pub fn explain(pid: i32, e: cryo_tracee::Error) -> Error {
    if e.errno() != Some(libc::EPERM) && e.errno() != Some(libc::EACCES) {
        return e.into();
    }
    let (Ok(target), Ok(ours)) = (Status::of(pid), Status::of(std::process::id() as i32)) else { return e.into() };
    let comm = target.text("Name").unwrap_or("?").to_owned();
    let (why, text) = if let Some(tracer) = target.number("TracerPid").filter(|t| *t != 0) {
        let by = std::fs::read_to_string(format!("/proc/{tracer}/comm")).unwrap_or_default();
        let text = match by.trim_end() {
            "cryo-freeze" => {
                return Error::Untraceable {
                    why: Untraceable::Traced,
                    text: format!(
                        "process {pid} ({comm}) is being frozen by pid {tracer} (cryo-freeze): wait for that, or end it (kill {tracer}), and the program \
                         goes on"
                    ),
                };
            }
            "overseer-keeper" => format!(
                "it is watched by an overseer: name its pid, cryo-freeze {pid}, and pid {tracer} (overseer-keeper) freezes it; do not end that one, or the \
                 program ends with it"
            ),
            "cryo-thaw" => format!(
                "it is a template, held by pid {tracer} (cryo-thaw), or not thawed yet: cryo-thaw --from NAME makes a copy, which can be frozen \
                 (cryo-thaw --templates lists the names)"
            ),
            _ => format!("it is traced already, by {}: end that first", name(tracer as i32)),
        };
        (Untraceable::Traced, text)
    } else if target.number("Kthread") == Some(1) || proc::link(pid, "exe").is_err() && target.text("VmSize").is_none()
    {
        match target.text("State") {
            Some(s) if s.starts_with('Z') => {
                (Untraceable::Ended, "it has ended and only its exit status is left (a zombie)".to_owned())
            }
            _ => (Untraceable::Kernel, "it is a thread of the kernel".to_owned()),
        }
    } else if ours.ids("Uid")[0] != 0 && target.ids("Uid") != [ours.ids("Uid")[0]; 4] {
        (
            Untraceable::OtherUser,
            format!(
                "it belongs to user {}, and you are user {}: freeze it as that user or as root",
                target.ids("Uid")[0],
                ours.ids("Uid")[0]
            ),
        )
    } else if seccomp_forbids(&ours) {
        (Untraceable::Forbidden, "this container's seccomp filter forbids ptrace: start the container with a profile that allows ptrace and process_vm_readv \
         (docker: --security-opt seccomp=unconfined or --cap-add SYS_PTRACE)"
            .to_owned())
    } else if let Some(scope) = yama() {
        let way = match scope {
            1 => {
                "only its ancestors may trace it: freeze it by the process that started it, which becomes cryo-freeze (exec), or start it by overseer run; or \
                 have it call prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY), run cryo-freeze as root, or have root set that to 0"
            }
            2 => "run cryo-freeze with CAP_SYS_PTRACE (as root), or have root set it to 0",
            _ => "it stays so until the next boot",
        };
        (Untraceable::Forbidden, format!("/proc/sys/kernel/yama/ptrace_scope is {scope} (Yama): {way}"))
    } else if ours.ids("Uid")[0] == 0 {
        let text = match ours.hex("CapEff") >> CAP_SYS_PTRACE & 1 {
            0 => "it is another user's, not dumpable or has capabilities that you lack: freeze it with CAP_SYS_PTRACE",
            _ => "it is in another user namespace, or a security module protects it, from root too",
        };
        (Untraceable::Rights, text.to_owned())
    } else {
        (Untraceable::Rights, "it is not dumpable (a set-user-id program, one without read permission, or prctl(PR_SET_DUMPABLE, 0)): freeze it as root".to_owned())
    };
    Error::Untraceable { why, text: format!("process {pid} ({comm}) cannot be traced: {text}") }
}

/// May we trace this process, and no child of ours? So Yama has it (ptrace_scope 1) with what descends from us.
pub fn only_we_may_trace(pid: i32) -> bool {
    let us = std::process::id() as i32;
    let capable = || Status::of(us).is_ok_and(|ours| ours.hex("CapEff") >> CAP_SYS_PTRACE & 1 != 0);
    yama() == Some(1) && parents(pid).any(|parent| parent == us) && !capable()
}

fn yama() -> Option<u32> {
    std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").ok()?.trim().parse().ok().filter(|s| *s > 0)
}

/// We are under a filter, and it does not even let us ask about a process that does not exist.
fn seccomp_forbids(ours: &Status) -> bool {
    ours.number("Seccomp") == Some(2)
        && matches!(cryo_tracee::Stopped::seize(i32::MAX, i32::MAX), Err(e) if e.errno() != Some(libc::ESRCH))
}

/// `4242 (bash)`.
pub fn short(pid: i32) -> String {
    let comm = proc::bytes(pid, "comm").unwrap_or_default();
    format!("{pid} ({})", String::from_utf8_lossy(comm.trim_ascii_end()))
}

/// `process 4242 (bash)`.
pub fn name(pid: i32) -> String {
    format!("process {}", short(pid))
}

/// Our ancestors: each would wait for us, and we for it to stand still.
pub fn ancestors() -> Vec<i32> {
    // A pid of 1 is a container's first process, and that is nobody's shell.
    parents(std::process::id() as i32).filter(|pid| *pid > 1).collect()
}

/// The parent of a process, and its parent, and so on.
fn parents(pid: i32) -> impl Iterator<Item = i32> {
    let parent = |of: &i32| Stat::of(*of).and_then(|s| s.field(4)).ok().map(|parent| parent as i32).filter(|p| *p > 0);
    std::iter::successors(parent(&pid), parent).take(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traced_process_is_told_by_its_kind() {
        let mut child = std::process::Command::new("sleep").arg("30").spawn().expect("sleep");
        let pid = child.id() as i32;
        let held = cryo_tracee::Process::seize(pid).expect("our own child");
        // What the kernel says to a second tracer.
        let refused = cryo_tracee::Error::sys("seizing", std::io::Error::from_raw_os_error(libc::EPERM));
        let error = explain(pid, refused);
        drop(held);
        child.kill().and_then(|()| child.wait()).expect("ended");
        assert!(matches!(error, Error::Untraceable { why: Untraceable::Traced, .. }), "{error}");
    }
}
