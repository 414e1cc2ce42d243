//! State that the process shares with one that is not frozen: files that no path leads to, event counters, the offset of an open file. The thawed
//! program would have one of its own, and neither would hear of the other again. Pipes, sockets and SysV shared memory have collectors that
//! know this of themselves.

use cryo_tracee::fds;
use cryo_tracee::proc::Mapping;

use super::other_holders::Holder;
use super::{Collected, RefusalKind, Scene, refuse};
use crate::Result;
use crate::options::Shared;

/// Refuses a shared mapping of what no path leads to, where another process uses that, too, or notes it.
pub fn check_mapping(scene: &Scene<'_>, m: &Mapping, out: &mut Collected) -> Result<()> {
    let dev = rustix::fs::makedev(m.dev.0, m.dev.1);
    let other = scene.machine.others.unlinked(dev, m.ino).filter(|other| m.has("mw") || other.writes);
    let Some(other) = other else { return Ok(()) };
    let name = format!("memory {:x}-{:x} ({})", m.start, m.end, String::from_utf8_lossy(&m.path));
    found(scene, &name, &other, "content", None, out)
}

/// Refuses a process that clone(2) has made to have something in common with one that is not frozen. Its memory is not to be touched before.
pub fn check_process(scene: &Scene<'_>) -> Result<()> {
    let Some((what, other)) = scene.machine.others.sharer(scene.pid, scene.live_tid) else { return Ok(()) };
    let what = match what {
        fds::Shared::Memory => "memory (clone(2), CLONE_VM)",
        fds::Shared::Files => "table of descriptors (clone(2), CLONE_FILES)",
        fds::Shared::Fs => "working directory and umask (clone(2), CLONE_FS)",
        fds::Shared::Handlers => "signal handlers (clone(2), CLONE_SIGHAND)",
        fds::Shared::SemUndo => "list of what its end undoes to semaphores (clone(2), CLONE_SYSVSEM)",
    };
    refuse(
        RefusalKind::Shared,
        format!(
            "{} has its {what} in common with {other}, which is not frozen with it: freeze the process from which both descend, or end that one first",
            scene.name()
        ),
    )
}

/// `name` shares `what` with another process: refused, with the descriptor by which it can be answered, or noted.
pub fn found(
    scene: &Scene<'_>,
    name: &str,
    other: &Holder,
    what: &str,
    fd: Option<i32>,
    out: &mut Collected,
) -> Result<()> {
    if scene.options.shared == Shared::Copy {
        out.note(name, format!("{} shares its {what}: the image has a copy of its own (--shared copy)", other.name));
        return Ok(());
    }
    let way = fd.map_or_else(String::new, |fd| format!(" or --fd {fd}=inherit|null|FILE"));
    refuse(
        RefusalKind::Shared,
        format!(
            "{name} of {}: {} shares its {what}, and neither would see what the other does after a thaw: freeze both together, \
             by the process from which they descend, or end that one first, or use --shared copy{way}",
            scene.name(),
            other.name
        ),
    )
}
