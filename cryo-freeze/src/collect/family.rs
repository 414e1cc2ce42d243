//! `FMLY`: who is frozen together, and what ties them.

use std::cell::Cell;
use std::cmp::Ordering;

use cryo_format::section::family::{Common, Family as Section, Zombie};
use cryo_tracee::family::{Family, NotSeized, children};
use cryo_tracee::fds::{self, Shared};
use cryo_tracee::proc::{self, Stat, Status};
use cryo_tracee::signals;

use super::{Collected, RefusalKind, Scene, also, refuse};
use crate::options::{Also, Children};
use crate::refused::{ancestors, name, short};
use crate::{Error, Result, refused};

/// So many are named in one line.
const MANY: usize = 50;

/// What can be refused before anything stands still. Returns the processes that will be frozen, as far as they are there already.
pub fn check(pid: i32, choice: Children, also: &Also) -> Result<Vec<i32>> {
    // Many tools list threads like processes (htop, ps -L).
    if let Some(process) = Status::of(pid).ok().and_then(|status| status.number("Tgid")).filter(|p| *p != pid as u64) {
        let process = process as i32;
        return refuse(
            RefusalKind::Argument,
            format!("{pid} is a thread of {}: type cryo-freeze {process}", name(process)),
        );
    }
    // A thread of the kernel, or somebody else's process: that is said first, by whoever tries to stop it.
    if choice == Children::Leave || proc::link(pid, "exe").is_err() {
        return Ok(vec![pid]);
    }
    if ancestors().contains(&pid) {
        return refuse(
            RefusalKind::Argument,
            format!(
                "{} is the shell, or whatever it is, that has started this cryo-freeze and waits for it: type cryo-freeze {pid} in another terminal",
                name(pid)
            ),
        );
    }
    let others = also::chosen(pid, also)?;
    let below = children(pid);
    if choice == Children::Refuse && !below.is_empty() {
        let names: Vec<String> = below.into_iter().map(short).collect();
        return refuse(
            RefusalKind::Children,
            format!(
                "process {pid} has children: {}: leave out --children refuse to take them along, or use --only (it will not find them)",
                names.join(", ")
            ),
        );
    }
    let mut all = vec![pid];
    all.extend(others.into_iter().filter(|other| *other != pid));
    let mut next = 0;
    while let Some(parent) = all.get(next) {
        let found: Vec<i32> = children(*parent).into_iter().filter(|child| !all.contains(child)).collect();
        all.extend(found);
        next += 1;
    }
    Ok(all)
}

/// Stops the process, with its descendants if they shall be taken along.
pub fn seize(pid: i32, choice: Children, also: &Also) -> Result<Family> {
    let failed = Cell::new(None);
    let others = || {
        also::chosen(pid, also).unwrap_or_else(|e| {
            failed.set(Some(e));
            Vec::new()
        })
    };
    let seized = if choice == Children::Leave { Family::only(pid) } else { Family::seize(pid, others) };
    if let Some(error) = failed.take() {
        return Err(error);
    }
    let family = seized.map_err(|NotSeized { pid: member, error }| {
        let stuck = matches!(error, cryo_tracee::Error::Stuck { .. });
        let vfork = if stuck { in_vfork(member) } else { None };
        let error = vfork.unwrap_or_else(|| refused::explain(member, error));
        if member == pid { error } else { among(pid, error) }
    })?;
    if choice == Children::Refuse && family.members.len() + family.zombies.len() > 1 {
        return refuse(RefusalKind::Children, format!("process {pid} has made a child just now: try again"));
    }
    Ok(family)
}

/// Refuses members that we may look into, but not end or stop: half a family would be left.
pub fn may_be_signalled(family: &Family) -> Result<()> {
    for member in &family.members {
        if let Err(error) = signals::kill(member.pid(), 0) {
            return refuse(
                RefusalKind::Credentials,
                format!(
                    "{} may not be ended or stopped by us (CAP_KILL): use --leave-running, or root: {error}",
                    name(member.pid())
                ),
            );
        }
    }
    Ok(())
}

/// A thread that waits for a child of vfork(2) cannot be stopped: the child neither executes a program nor ends.
fn in_vfork(pid: i32) -> Option<Error> {
    let shares = |child: &i32| fds::order(pid, *child, Shared::Memory).is_ok_and(Ordering::is_eq);
    let child = children(pid).into_iter().find(shares)?;
    let text = format!(
        "{} waits for its child {} (vfork(2)), which neither executes a program nor ends, and cannot be stopped meanwhile: try again when it has",
        name(pid),
        short(child)
    );
    refuse::<()>(RefusalKind::Children, text).err()
}

/// An error of a member as one of the family of `root`.
fn among(root: i32, error: Error) -> Error {
    match error {
        Error::Refused(mut one) => {
            one.text = format!(
                "{}; nothing of the family of process {root} was frozen (--only: without its children)",
                one.text
            );
            Error::Refused(one)
        }
        Error::Untraceable { why, text } => Error::Untraceable {
            why,
            text: format!("{text}; it descends from process {root} (--only: without its children)"),
        },
        other => other,
    }
}

/// The same of one that has been stopped: its command is named, too.
pub fn of_member(scene: &Scene<'_>, error: Error) -> Error {
    match error {
        Error::Refused(mut one) if scene.members > 1 => {
            one.text = format!("{}: {}", scene.name(), one.text);
            Error::Refused(one)
        }
        other => other,
    }
}

/// The parent of a member, if that is one of them.
pub fn parent<'s>(scenes: &'s [Scene<'s>], of: &Scene<'_>) -> Option<&'s Scene<'s>> {
    let ppid = of.stat.field(4).ok()?;
    scenes[..of.member].iter().find(|s| i64::from(s.pid) == ppid)
}

/// By whom a member is made: its parent, or, if it has its memory in common with another child of that and not with the parent, the first of those (CLONE_PARENT).
/// The kernel has both tell their parent of their end by the same signal.
pub fn born_of<'s>(scenes: &'s [Scene<'s>], of: &Scene<'_>, common: &[Common]) -> Option<&'s Scene<'s>> {
    let parent = parent(scenes, of)?;
    let signal = |s: &Scene<'_>| s.stat.field(38).ok();
    let sibling = |s: &&Scene<'_>| {
        common_memory(common, of.id, s.id) && s.stat.field(4).ok() == of.stat.field(4).ok() && signal(s) == signal(of)
    };
    let alone = !common_memory(common, of.id, parent.id);
    scenes[..of.member].iter().filter(|_| alone).find(sibling).or(Some(parent))
}

/// Adds the section, if there is more than one process to tell of.
pub fn collect(scenes: &[Scene<'_>], zombies: &[i32], out: &mut Collected) -> Result<()> {
    let Some((root, others)) = scenes.split_first() else { return Ok(()) };
    if others.is_empty() && zombies.is_empty() {
        return Ok(());
    }
    for scene in others {
        if scene.namespace("pid") != root.namespace("pid") {
            return refuse(
                RefusalKind::Children,
                format!(
                    "process {} ({}) is in another pid namespace than process {}, of whose family it is: freeze it by itself, and that one with --only",
                    scene.pid,
                    scene.comm(),
                    root.pid
                ),
            );
        }
    }
    let mut dead = zombies.iter().map(|pid| zombie(*pid, out)).collect::<Result<Vec<_>>>()?;
    dead.sort_by_key(|z| z.pid);
    let mut names: Vec<String> = scenes.iter().map(|s| format!("{} ({})", s.pid, s.comm())).collect();
    for scene in scenes {
        of_other_threads(scene, out);
    }
    let more = names.len().saturating_sub(MANY);
    names.truncate(MANY);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    out.note("family", format!("frozen together: {}{more}", names.join(", ")));
    out.add(0, Section { root: root.id, zombies: dead.into(), common: shared(scenes)?.into() });
    Ok(())
}

/// Notes children that another thread than the main one has made: there are none but the main one when they are born again.
fn of_other_threads(scene: &Scene<'_>, out: &mut Collected) {
    if scene.threads.len() < 2 {
        return;
    }
    for tid in proc::tasks(scene.live_tid).unwrap_or_default().into_iter().filter(|tid| *tid != scene.pid) {
        let list = proc::bytes(scene.live_tid, &format!("task/{tid}/children")).unwrap_or_default();
        let children: Vec<String> = String::from_utf8_lossy(&list).split_whitespace().map(str::to_owned).collect();
        if !children.is_empty() {
            let text = format!(
                "its thread {tid} has made {}: thawed, it is a child of the main thread (__WNOTHREAD, and a parent-death signal, go by that)",
                children.join(", ")
            );
            out.note(scene.name(), text);
        }
    }
}

/// What fork(2) would have given each a copy of, and several have together.
fn shared(scenes: &[Scene<'_>]) -> Result<Vec<Common>> {
    const WHAT: [(Shared, i32); 5] = [
        (Shared::Memory, libc::CLONE_VM),
        (Shared::Files, libc::CLONE_FILES),
        (Shared::Fs, libc::CLONE_FS),
        (Shared::Handlers, libc::CLONE_SIGHAND),
        (Shared::SemUndo, libc::CLONE_SYSVSEM),
    ];
    let mut all: Vec<Common> = Vec::new();
    for (what, flag) in WHAT {
        // As with descriptors: kcmp(2) orders, so that nobody has to be compared with everybody.
        let mut error = None;
        let has_it = |s: &&Scene<'_>| what != Shared::SemUndo || s.machine.undo_lists.has(s.live_tid);
        let mut sorted: Vec<&Scene<'_>> = scenes.iter().filter(has_it).collect();
        let mut order = |a: &Scene<'_>, b: &Scene<'_>| {
            fds::order(a.live_tid, b.live_tid, what).unwrap_or_else(|e| {
                error.get_or_insert(e);
                Ordering::Equal
            })
        };
        sorted.sort_by(|a, b| order(a, b).then(a.member.cmp(&b.member)));
        let groups: Vec<Vec<&Scene<'_>>> = sorted.chunk_by(|a, b| order(a, b).is_eq()).map(<[_]>::to_vec).collect();
        if let Some(e) = error {
            return Err(e.into());
        }
        for group in groups {
            let Some((first, others)) = group.split_first() else { continue };
            for scene in others {
                let same = |c: &&mut Common| (c.process, c.other) == (scene.id, first.id);
                match all.iter_mut().find(same) {
                    Some(known) => known.flags |= flag as u32,
                    None => {
                        all.push(Common { process: scene.id, other: first.id, flags: flag as u32, reserved: 0 });
                    }
                }
            }
        }
    }
    // It comes about at a birth, as it did. Of others than a parent and its children, or these among each other, nobody can be born so: whose parent has ended
    // is a child of one who had no part in it, and to end in the same way a process in between would need memory, and a pid, that the family has not.
    for one in all.iter().filter(|c| c.flags & libc::CLONE_VM as u32 != 0) {
        let scene = |id| scenes.iter().find(|s| s.id == id);
        let (Some(own), Some(other)) = (scene(one.process), scene(one.other)) else { continue };
        if !born_of(scenes, own, &all).is_some_and(|of| common_memory(&all, own.id, of.id)) {
            return refuse(
                RefusalKind::Children,
                format!(
                    "{} has its memory in common with {} (clone(2), CLONE_VM), which is neither its parent nor another child of that: this is not carried",
                    own.name(),
                    other.name()
                ),
            );
        }
    }
    all.sort_by_key(|c| (c.process, c.other));
    Ok(all)
}

/// Do these two have their memory in common?
pub fn common_memory(all: &[Common], one: u64, other: u64) -> bool {
    let with = |of| all.iter().find(|c| c.process == of && c.flags & libc::CLONE_VM as u32 != 0);
    let first = |of| with(of).map_or(of, |c| c.other);
    first(one) == first(other)
}

/// A child that has ended, as /proc tells of it. What its parent would have been told besides, and will not be, is noted.
fn zombie(pid: i32, out: &mut Collected) -> Result<Zombie> {
    /// Of a wait status.
    const DUMPED: u32 = 0x80;
    let (status, stat) = (Status::of(pid)?, Stat::of(pid)?);
    let inner = |key, field| Ok::<u64, Error>(status.inner(key).unwrap_or(stat.field(field)? as u64));
    // The exit code is told to those who may look into the process (proc_pid_stat(5)), and is 0 to others.
    let ours = Status::of(std::process::id() as i32)?.ids("Uid")[1];
    if ours != 0 && status.ids("Uid") != [ours; 4] {
        return refuse(
            RefusalKind::Permission,
            format!(
                "process {pid} ({}) has ended as user {}, and its parent has not waited for it: its exit status is told to root only",
                String::from_utf8_lossy(&status.name()),
                status.ids("Uid")[0]
            ),
        );
    }
    let (ppid, exit_code) = (stat.field(4)? as i32, stat.field(52)? as u32);
    let parent = Status::of(ppid)?;
    let name = format!("process {pid} ({})", String::from_utf8_lossy(&status.name()));
    if exit_code & DUMPED != 0 {
        out.note(
            name.clone(),
            "it has ended, and waits for its parent, which will not be told that it dumped core (WCOREDUMP)",
        );
    }
    let user = status.ids("Uid")[0];
    if user != parent.ids("Uid")[0] {
        out.note(
            name,
            format!("it has ended as user {user}, and waits for its parent, which will be told its own user (si_uid)"),
        );
    }
    Ok(Zombie {
        pid: status.inner("NStgid").unwrap_or(pid as u64),
        ppid: parent.inner("NStgid").unwrap_or(ppid as u64),
        pgid: inner("NSpgid", 5)?,
        sid: inner("NSsid", 6)?,
        exit_signal: stat.field(38)? as u32,
        status: exit_code,
        name: status.name().into(),
    })
}

/// Children that stay behind, for the notes.
pub fn left_behind(pid: i32) -> Vec<String> {
    children(pid).into_iter().map(short).collect()
}
