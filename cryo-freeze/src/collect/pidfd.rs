//! `PIDF` and `PIDD`: processes as files; those of the image, and such as have ended.

use cryo_format::section::family::Family;
use cryo_format::section::pidfd::{DeadPidfd, Pidfd};
use cryo_tracee::proc::Status;

use super::ancillary;
use super::description::{Cx, Description};
use crate::Result;

/// Adds it.
pub fn collect<'c>(cx: &mut Cx<'c>, d: &'c Description<'c>) -> Result<bool> {
    let f = d.first();
    if !f.is_anon("pidfd") {
        return Ok(false);
    }
    let (pid, open_flags) = (f.info.number("Pid"), f.open_flags());
    let process = cx.scenes.iter().find(|s| pid == Some(s.pid.into()));
    let dead = match pid {
        Some(-1) => Some(0),
        Some(pid) if process.is_none() => zombie(cx, pid as i32),
        _ => None,
    };
    if (process.is_some_and(|s| s.member > 0) || dead.is_some_and(|pid| pid != 0))
        && let Some(why) = ancillary::too_late(cx, d, "a pidfd")
    {
        cx.why = Some(why);
        return Ok(false);
    }
    match (process, dead) {
        (Some(process), _) => cx.out.add(d.id, Pidfd { open_flags, process: process.id }),
        (None, Some(pid)) => cx.out.add(d.id, DeadPidfd { open_flags, pid }),
        (None, None) => {
            let pid = pid.map_or_else(String::new, |p| format!(" {p}"));
            cx.why = Some(format!("the process{pid} that it refers to is not in the image"));
            return Ok(false);
        }
    }
    Ok(true)
}

/// The pid of a child that has ended, as the processes see it, if it is in the image.
fn zombie(cx: &Cx<'_>, pid: i32) -> Option<u64> {
    let inner = Status::of(pid).ok()?.inner("NStgid").unwrap_or(pid as u64);
    let mut zombies = cx.out.sections::<Family>().flat_map(|f| &f.zombies.0);
    zombies.any(|z| z.pid == inner).then_some(inner)
}
