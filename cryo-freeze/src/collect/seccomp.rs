//! `SECC`: seccomp. Before anything is asked of a restricted process, its filters are suspended: they would kill it for our calls.

use cryo_format::section::seccomp::{Filter, Instruction, Seccomp};
use cryo_tracee::seccomp::filters;
use cryo_tracee::{Process, Stopped};

use super::{Collected, RefusalKind, Scene, refuse};
use crate::Result;

const MODE_FILTER: u64 = 2;
const RET_K: u16 = 0x06;
const RET_USER_NOTIF: u32 = 0x7fc0_0000;
const RET_ACTION_FULL: u32 = 0xffff_0000;

/// Adds seccomp of all threads, if one of them is restricted; from here on remote calls are possible.
pub fn collect(process: &Process, scene: &Scene<'_>, ids: &[u64], out: &mut Collected) -> Result<()> {
    // The first filter of a family under an overseer is the overseer's, under which the program was started; none of its own is before that.
    let watched = process.threads.iter().any(Stopped::is_watched);
    if watched && scene.threads.iter().all(|s| s.number("Seccomp_filters") == Some(1)) {
        return Ok(());
    }
    let mode = |i: usize| scene.threads.get(i).and_then(|s| s.number("Seccomp")).unwrap_or(0);
    let Some(restricted) = (0..process.threads.len()).find(|i| mode(*i) != 0) else { return Ok(()) };
    if let Err(e) = process.suspend_seccomp() {
        return match e.errno() {
            Some(libc::EPERM | libc::EACCES) => refuse(
                RefusalKind::Seccomp,
                format!(
                    "thread {} of process {} is restricted by seccomp, and to see how takes CAP_SYS_ADMIN: freeze it as root (itself not under seccomp)",
                    process.threads[restricted].tid(),
                    scene.pid
                ),
            ),
            _ => Err(e.into()),
        };
    }
    let mut sections = Vec::new();
    for (i, (thread, id)) in process.threads.iter().zip(ids).enumerate() {
        if let Some(text) = unknown(mode(i), 0) {
            return refuse(RefusalKind::Seccomp, format!("thread {} of process {} {text}", thread.tid(), scene.pid));
        }
        let mut section = Seccomp { mode: mode(i) as u32, ..Seccomp::default() };
        if mode(i) == MODE_FILTER {
            for filter in filters(thread.tid())?.iter().skip(usize::from(watched)) {
                section.filters.push(carried(thread.tid(), filter)?);
            }
        }
        sections.push((*id, section));
    }
    out.add_each(scene.id, sections);
    Ok(())
}

/// What a later kernel may say of seccomp: a mode in /proc/PID/status that is neither strict (1) nor that of filters (2), flags of a filter other than
/// SECCOMP_FILTER_FLAG_LOG (PTRACE_SECCOMP_GET_METADATA).
pub fn unknown(mode: u64, flags: u64) -> Option<String> {
    const FLAG_LOG: u64 = 1 << 1;
    /// The kernel has it while a thread is being killed by it (kernel/seccomp.c).
    const DEAD: u64 = 3;
    match (mode, flags & !FLAG_LOG) {
        (0..=MODE_FILTER, 0) => None,
        (DEAD, _) => Some("is being killed by seccomp: try again when it has ended".into()),
        (0..=MODE_FILTER, flags) => Some(format!(
            "has a seccomp filter with flags that this release does not know ({flags:#x}): a newer cryo-freeze may"
        )),
        _ => Some(format!(
            "is restricted by seccomp in a mode that this release does not know ({mode}): a newer cryo-freeze may"
        )),
    }
}

fn carried(tid: i32, filter: &cryo_tracee::seccomp::Filter) -> Result<Filter> {
    let program: Vec<Instruction> = filter
        .program
        .iter()
        .map(|i| Instruction {
            code: u16::from_le_bytes([i[0], i[1]]),
            jt: i[2],
            jf: i[3],
            k: u32::from_le_bytes([i[4], i[5], i[6], i[7]]),
        })
        .collect();
    if program.iter().any(|i| i.code == RET_K && i.k & RET_ACTION_FULL == RET_USER_NOTIF) {
        return refuse(
            RefusalKind::Seccomp,
            format!(
                "thread {tid} has a seccomp filter that asks another process (SECCOMP_RET_USER_NOTIF), which cannot be carried"
            ),
        );
    }
    if let Some(text) = unknown(MODE_FILTER, filter.flags) {
        return refuse(RefusalKind::Seccomp, format!("thread {tid} {text}"));
    }
    Ok(Filter { flags: filter.flags as u32, reserved: 0, program: program.into() })
}
