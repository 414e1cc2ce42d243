//! `SESS`: sessions that a pseudo-terminal of the image controls.

use std::collections::{BTreeMap, HashSet};

use cryo_format::section::sessions::{Session, Sessions};
use cryo_tracee::family::children;
use cryo_tracee::proc::{self, Stat, Status};

use super::description::Cx;
use super::{RefusalKind, Scene, ptys, refuse};
use crate::Result;

/// Adds the sessions that the processes lead.
pub fn collect(cx: &mut Cx<'_>) -> Result<()> {
    let mut sessions: BTreeMap<u64, Session> = BTreeMap::new();
    let mut ours = HashSet::new();
    let scenes = cx.scenes;
    for scene in scenes {
        let Some((index, pty)) = ptys::controlling(scene)?.and_then(|index| Some((index, ptys::id(cx, index)?))) else {
            continue;
        };
        let (session, foreground) = (scene.stat.field(6)?, scene.stat.field(8)?);
        let sid = scene.status.inner("NSsid").unwrap_or(session as u64);
        if sessions.contains_key(&sid) {
            continue;
        }
        ours.insert(session);
        let in_front = scenes.iter().find(|s| s.stat.field(5).is_ok_and(|group| group == foreground));
        let inner = |status: &Status| status.inner("NSpgid").unwrap_or(foreground as u64);
        let in_front = in_front.map(|s| inner(&s.status)).or_else(|| Some(inner(&zombie(scenes, foreground)?)));
        if in_front.is_none() {
            cx.out.note(
                format!("/dev/pts/{index}"),
                format!(
                    "process group {foreground}, which is in its foreground, is not in the image: the program's own will be"
                ),
            );
        }
        let foreground = in_front.unwrap_or(0);
        sessions.insert(sid, Session { sid, pty, foreground });
    }
    if !sessions.is_empty() {
        alone(scenes, &ours)?;
        cx.out.add(0, Sessions { sessions: sessions.into_values().collect() });
    }
    Ok(())
}

/// Somebody in a group in which nobody lives: a child that has not been waited for yet.
fn zombie(scenes: &[Scene<'_>], group: i64) -> Option<Status> {
    let mut children = scenes.iter().flat_map(|s| children(s.pid));
    let child = children.find(|child| {
        Stat::of(*child).and_then(|s| s.field(5)).is_ok_and(|of| of == group)
            && proc::state(*child).is_some_and(|state| state.starts_with('Z'))
    })?;
    Status::of(child).ok()
}

/// Refuses sessions with other processes: when its leader ends they lose the terminal, and are hung up. Children are left on purpose (--only).
fn alone(scenes: &[Scene<'_>], sessions: &HashSet<i64>) -> Result<()> {
    let frozen = |pid: i64| scenes.iter().any(|s| i64::from(s.pid) == pid);
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let others = all.filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok());
    for other in others.filter(|other| !frozen((*other).into())) {
        let Ok(stat) = Stat::of(other) else { continue };
        let field = |n| stat.field(n).unwrap_or(0);
        // What we trace is a copy of a process, made for us.
        let copy = || Status::of(other).is_ok_and(|s| s.number("TracerPid") == Some(std::process::id().into()));
        let session = field(6);
        if sessions.contains(&session) && field(7) != 0 && !frozen(field(4)) && !copy() {
            return refuse(
                RefusalKind::Terminal,
                format!(
                    "process {other} is in session {session}, which is frozen with its controlling terminal, and would be hung up: end it first"
                ),
            );
        }
    }
    Ok(())
}
