//! `SESS`: the session of the process, if a pseudo-terminal of the image controls it.

use std::os::fd::OwnedFd;

use cryo_format::section::sessions::{Session, Sessions};
use cryo_tracee::proc::{Stat, Status};
use cryo_tracee::tty::{self, Number};

use super::description::Cx;
use super::{RefusalKind, ptys, refuse};
use crate::Result;

/// N of the /dev/pts/N that is the controlling terminal of the process (field 7 of proc_pid_stat(5)), if it is one.
pub fn terminal(cx: &Cx<'_>) -> Result<Option<u64>> {
    Ok(ptys::index(cx.scene.stat.field(7)? as u64))
}

/// Why a pseudo-terminal is not the process's own, if it controls a session whose leader is another process.
pub fn stranger(cx: &Cx<'_>, master: &OwnedFd) -> Result<Option<String>> {
    let session = tty::number(master, Number::SESSION)?;
    let leader = session.filter(|session| *session != cx.scene.pid as u64);
    Ok(leader.map(|leader| {
        format!(
            "it is the controlling terminal of session {leader}, whose leader, process {leader}, is outside the image"
        )
    }))
}

/// Adds the session that the process leads.
pub fn collect(cx: &mut Cx<'_>) -> Result<()> {
    let Some((index, pty)) = terminal(cx)?.and_then(|index| Some((index, ptys::id(cx, index)?))) else {
        return Ok(());
    };
    let (stat, status) = (&cx.scene.stat, &cx.scene.status);
    let [group, session, foreground] = [5, 6, 8].map(|n| stat.field(n));
    let (group, session, foreground) = (group?, session?, foreground?);
    alone(cx, session)?;
    if foreground != group {
        cx.out.note(
            format!("/dev/pts/{index}"),
            format!(
                "process group {foreground}, which is in its foreground, is not in the image: the program's own will be"
            ),
        );
    }
    let own = status.inner("NSpgid").unwrap_or(group as u64);
    let sid = status.inner("NSsid").unwrap_or(session as u64);
    let foreground = if foreground == group { own } else { 0 };
    cx.out.add(0, Sessions { sessions: vec![Session { sid, pty, foreground }].into() });
    Ok(())
}

/// Refuses a session with other processes: when its leader ends they lose the terminal, and are hung up. Children are left on purpose (--children leave).
fn alone(cx: &Cx<'_>, session: i64) -> Result<()> {
    let pid = i64::from(cx.scene.pid);
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    for other in
        all.filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok()).filter(|other| i64::from(*other) != pid)
    {
        let Ok(stat) = Stat::of(other) else { continue };
        let field = |n| stat.field(n).unwrap_or(0);
        // What we trace is a copy of the process, made for us.
        let copy = || Status::of(other).is_ok_and(|s| s.number("TracerPid") == Some(std::process::id().into()));
        if field(6) == session && field(7) != 0 && field(4) != pid && !copy() {
            return refuse(
                RefusalKind::Terminal,
                format!(
                    "process {other} is in the session of process {pid}, on the same controlling terminal, and would be hung up with it: end it first"
                ),
            );
        }
    }
    Ok(())
}
