//! `LIMT`: resource limits. The process itself may always ask; another user's is asked in vain.

use cryo_format::section::limits::{Limit, Limits};
use cryo_tracee::Batch;
use cryo_tracee::limits::COUNT;
use cryo_tracee::remote::{Done, Slot};

use super::{Collected, Scene};
use crate::Result;

/// One answer per limit.
pub struct Questions(Vec<(usize, Slot)>);

impl Questions {
    /// prlimit(2).
    pub fn ask(batch: &mut Batch) -> Self {
        let ask = |resource: u32| {
            let slot = batch.space(16);
            (batch.call(libc::SYS_prlimit64, &[0, resource.into(), 0, slot.addr]), slot)
        };
        Self((0..COUNT).map(ask).collect())
    }
}

/// In seconds: less than this nobody measures by.
const WORTH_TELLING: u64 = 3;

/// The kernel's count of processor time begins anew in the thawed process, and so would RLIMIT_CPU: what was used is taken off.
fn processor_time(scene: &Scene<'_>, limits: &mut [Limit], out: &mut Collected) -> Result<()> {
    // In ticks of USER_HZ, which is 100 for whoever reads /proc on x86 (proc(5) stat fields 14 and 15).
    let used = (scene.stat.field(14)? + scene.stat.field(15)?) as u64 / 100;
    let children = (scene.stat.field(16)? + scene.stat.field(17)?) as u64 / 100;
    if used >= WORTH_TELLING || children >= WORTH_TELLING {
        out.note(
            "processor time",
            format!(
                "the {used} s that it has used, and the {children} s of its children, cannot be carried: CLOCK_PROCESS_CPUTIME_ID, times(2) and \
                 getrusage(2) begin at 0 again, as all counts do"
            ),
        );
    }
    let Some(limit) = limits.iter_mut().find(|l| l.resource == libc::RLIMIT_CPU) else { return Ok(()) };
    if used == 0 || limit.soft == u64::MAX && limit.hard == u64::MAX {
        return Ok(());
    }
    for value in [&mut limit.soft, &mut limit.hard].into_iter().filter(|value| **value != u64::MAX) {
        *value = value.saturating_sub(used).max(1);
    }
    out.note(
        "RLIMIT_CPU",
        format!("lowered by the {used} s that the process has used: its processor time begins at 0 again"),
    );
    Ok(())
}

/// The name of a line of /proc/PID/limits that is none of the limits that this release knows.
pub fn unknown_limit(text: &str) -> Option<&str> {
    // fs/proc/base.c, lnames.
    const KNOWN: [&str; COUNT as usize] = [
        "Max cpu time",
        "Max file size",
        "Max data size",
        "Max stack size",
        "Max core file size",
        "Max resident set",
        "Max processes",
        "Max open files",
        "Max locked memory",
        "Max address space",
        "Max file locks",
        "Max pending signals",
        "Max msgqueue size",
        "Max nice priority",
        "Max realtime priority",
        "Max realtime timeout",
    ];
    let names = text.lines().skip(1).filter_map(|line| line.split("  ").next());
    names.map(str::trim).find(|name| !name.is_empty() && !KNOWN.contains(name))
}

/// Adds the limits.
pub fn collect(scene: &Scene<'_>, questions: &Questions, done: &Done, out: &mut Collected) -> Result<()> {
    let mut limits = Vec::new();
    for (resource, (call, slot)) in (0..).zip(&questions.0) {
        done.result(*call)?;
        let word = |i| done.word(*slot, i);
        limits.push(Limit { resource, reserved: 0, soft: word(0), hard: word(1) });
    }
    // The names are the kernel's.
    let names = scene.machine.ours.get("limits").map_or(&[][..], Vec::as_slice);
    if let Some(name) = unknown_limit(&String::from_utf8_lossy(names)) {
        out.note(name, "a resource limit that this release does not know: the thawed program has that of who thaws it");
    }
    processor_time(scene, &mut limits, out)?;
    out.add(scene.id, Limits { limits: limits.into() });
    Ok(())
}
