//! `FDTB`, `FDTT`: which descriptor refers to which open file description, of processes and of threads with a table of their own; and the collectors of
//! descriptions.
//!
//! To carry a further kind: a module with `fn collect(cx: &mut Cx, d: &Description) -> Result<bool>`, and its line in `COLLECTORS`.

use std::collections::{BTreeMap, HashMap, HashSet};

use cryo_format::section::descriptors::{Descriptor, Descriptors, ThreadDescriptors};
use cryo_format::section::outside::FdRule;
use cryo_tracee::proc::{Stat, Status};

use super::description::{Cx, Description};
use super::facts::Facts;
use super::fd::Fd;
use super::objects::Objects;
use super::parted::Parted;
use super::socket_tables::SocketTables;
use super::{
    Collected, Held, Ids, RefusalKind, Scene, ancillary, descriptions, epoll, eventfd, fanotify, fd, files, inotify,
    locks, mqueues, outside, owners, pidfd, pipes, ptys, refuse, refused_fds, removed, sessions, shared_fds, signalfd,
    sockets, terminal, timerfd,
};
use crate::{Error, Refusal, Refusals, Result};

/// So many descriptors are named in one line.
const MANY: usize = 10;

/// Adds the sections of a description if it is of the collector's kind; says whether it is.
type Collector = for<'c> fn(&mut Cx<'c>, &'c Description<'c>) -> Result<bool>;

/// The kinds, asked in turn; what none of them knows is [`outside`]. (Sorted by what programs have most of.)
const COLLECTORS: &[Collector] = &[
    mqueues::collect,
    files::collect,
    pipes::collect,
    eventfd::collect,
    timerfd::collect,
    signalfd::collect,
    epoll::collect,
    pidfd::collect,
    sockets::collect,
    inotify::collect,
    fanotify::collect,
    ptys::collect,
    refused_fds::collect,
];

/// What a description of any kind may have besides.
const BESIDES: &[for<'c> fn(&mut Cx<'c>, &'c Description<'c>) -> Result<()>] = &[owners::collect, locks::collect];

/// Adds every description once, and the table of each process, and of each of these threads.
pub fn collect(
    scenes: &[Scene<'_>],
    threads: &[Parted<'_>],
    ids: &mut Ids,
    objects: &mut Objects,
    out: &mut Collected,
    held: &mut Held,
) -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    let Some(root) = scenes.first() else { return Ok(()) };
    let (mut pidfds, mut fds) = (Vec::with_capacity(scenes.len()), Vec::new());
    for scene in scenes {
        let pidfd = cryo_tracee::fds::pidfd(scene.live_tid)?;
        fds.extend(fd::look(scene, &pidfd)?);
        pidfds.push(pidfd);
    }
    let mut own = Vec::new();
    for thread in threads.iter().filter(|thread| thread.shared_with == 0) {
        let name = format!("thread {} of {}", thread.tid, thread.scene.name());
        let pidfd = match cryo_tracee::fds::pidfd(thread.tid) {
            Err(e) if e.errno() == Some(libc::EINVAL) => {
                let why = "has a table of descriptors of its own, which can be looked at since Linux 6.9";
                return refuse(
                    RefusalKind::Machine,
                    format!("{name} {why}: freeze the process when that thread has ended"),
                );
            }
            pidfd => pidfd?,
        };
        let holder = holder(thread.scene, pidfds.len(), (thread.scene.pid, thread.tid), thread.id)?;
        fds.extend(fd::look(&holder, &pidfd)?.into_iter().map(|fd| fd.of_process(name.clone())));
        pidfds.push(pidfd);
        own.push(holder);
    }
    let rules = &root.options.fds;
    if let Some(fd) = rules.iter().filter_map(|r| r.fd).find(|n| fds.iter().all(|f| f.fd as u32 != *n)) {
        let whose = if scenes.len() > 1 { " and its descendants have" } else { " has" };
        return refuse(RefusalKind::Argument, format!("--fd {fd}: process {}{whose} no such descriptor", root.pid));
    }
    let now = |fd: i32| fds.iter().find(|f| f.holder == 0 && f.fd == fd).map_or(&[][..], |f| &f.link[..]);
    if let Some((fd, _)) = root.options.links.iter().find(|(fd, link)| now(*fd) != link) {
        return refuse(
            RefusalKind::Busy,
            format!("fd {fd} of process {} has just become another: try again", root.pid),
        );
    }
    // A rule of the person's comes first, then what we can carry. A number means the descriptor of the process that was asked for, and whoever has got
    // that by fork(2); of the others' own one that would be refused.
    let rule = |f: &Fd| FdRule::of(rules, f.fd as u32);
    let us = {
        let pid = std::process::id() as i32;
        holder(root, pidfds.len(), (pid, pid), root.id)?
    };
    pidfds.push(cryo_tracee::fds::pidfd(us.pid)?);
    let in_flight = ancillary::look(root.pid, &us, &pidfds, &mut fds, |f| f.holder == 0 && rule(f).is_some())?;
    let mut all = Vec::new();
    let mut by_rule = Vec::new();
    let tids: Vec<i32> = scenes.iter().chain(&own).chain([&us]).map(|s| s.live_tid).collect();
    for mut group in descriptions::group(&tids, &fds, &root.machine.descriptions)? {
        let asked: HashSet<i32> = group.iter().filter(|f| f.holder == 0 && rule(f).is_some()).map(|f| f.fd).collect();
        by_rule.extend(by_number(group.extract_if(.., |f| asked.contains(&f.fd))));
        if !group.is_empty() {
            all.push(Description { id: ids.fresh(), fds: group });
        }
    }
    let mut inodes: HashMap<_, Vec<usize>> = HashMap::with_capacity(all.len());
    for (i, d) in all.iter().enumerate() {
        let meta = &d.first().meta;
        inodes.entry((meta.dev(), meta.ino())).or_default().push(i);
    }
    let table = Vec::with_capacity(fds.len());
    let mut cx = Cx {
        scenes,
        threads: &own,
        us: &us,
        in_flight: &in_flight,
        machine: root.machine,
        options: root.options,
        ids,
        objects,
        out,
        held,
        all: &all,
        seen: HashMap::new(),
        sockets: SocketTables::default(),
        why: None,
        inodes,
        numbers: fds.iter().map(|f| ((f.holder, f.fd), f)).collect(),
        table,
        sent: HashMap::new(),
        pidfds: &pidfds,
    };
    for same in &by_rule {
        if let Some(instead) = rule(same[0]) {
            outside::by_rule(&mut cx, same, instead, "");
        }
    }
    // All that stands in the way is told at once.
    let mut refused = Vec::new();
    for d in cx.all {
        let (mark, placed) = (cx.out.mark(), cx.table.len());
        match description(&mut cx, d) {
            Err(Error::Refused(why)) => {
                cx.out.back_to(mark);
                cx.table.truncate(placed);
                // Whatever takes the place of a descriptor that a process has: who receives it would get the original.
                if let Some(f) = d.fds.iter().find(|f| cx.is_in_flight(f)) {
                    refused.push(ancillary::refused(&cx, f, why));
                    continue;
                }
                let instead = |f: &Fd| rule(f).or(FdRule::outside(rules));
                let unanswered = d.fds.iter().find(|f| instead(f).is_none());
                for same in by_number(d.fds.iter().copied()) {
                    if let (None, Some(instead)) = (unanswered, instead(same[0])) {
                        outside::by_rule(&mut cx, &same, instead, &why.text);
                    }
                }
                refused.extend(unanswered.map(|f| (f.fd, why)));
            }
            done => done?,
        }
    }
    answers(refused)?;
    ancillary::collect(&mut cx);
    epoll::settle(&mut cx);
    removed::cwd(&mut cx);
    sessions::collect(&mut cx)?;
    terminal::collect(&mut cx)?;
    let cloexec = |f: &Fd| u32::from(f.info.flags() & libc::O_CLOEXEC as u64 != 0);
    let mut tables: Vec<Vec<Descriptor>> = vec![Vec::new(); us.member];
    for (f, id) in cx.table {
        tables[f.holder].push(Descriptor { fd: f.fd as u32, flags: cloexec(f), description: id });
    }
    for (holder, mut descriptors) in scenes.iter().chain(&own).zip(tables) {
        descriptors.sort_by_key(|d| d.fd);
        let descriptors = descriptors.into();
        if holder.member < scenes.len() {
            out.add(holder.id, Descriptors { descriptors });
        } else {
            out.add(holder.id, ThreadDescriptors { shared_with: 0, descriptors });
        }
    }
    for thread in threads.iter().filter(|thread| thread.shared_with != 0) {
        out.add(thread.id, ThreadDescriptors { shared_with: thread.shared_with, ..Default::default() });
    }
    Ok(())
}

/// A thread with a table of descriptors of its own, or we, as one more process that has descriptors; `place` is its place among them.
fn holder<'s>(like: &Scene<'s>, place: usize, (pid, live_tid): (i32, i32), id: u64) -> Result<Scene<'s>> {
    Ok(Scene {
        arch: like.arch,
        member: place,
        members: like.members,
        pid,
        live_tid,
        id,
        thread_ids: Vec::new(),
        stat: Stat::of(live_tid)?,
        status: Status::of(live_tid)?,
        threads: Vec::new(),
        maps: Vec::new(),
        pages: Vec::new(),
        namespaces: Vec::new(),
        facts: Facts::default(),
        witness: None,
        may_have_joined_keyring: false,
        machine: like.machine,
        options: like.options,
    })
}

/// The descriptors of one description by their numbers: one that several processes have is one.
fn by_number<'f>(fds: impl Iterator<Item = &'f Fd>) -> impl Iterator<Item = Vec<&'f Fd>> {
    let mut numbers: BTreeMap<i32, Vec<&Fd>> = BTreeMap::new();
    fds.for_each(|f| numbers.entry(f.fd).or_default().push(f));
    numbers.into_values()
}

/// Adds one description, of whatever kind it is.
fn description<'c>(cx: &mut Cx<'c>, d: &'c Description<'c>) -> Result<()> {
    let mut carried = false;
    cx.why = None;
    shared_fds::check(cx, d)?;
    for collector in COLLECTORS {
        carried = collector(cx, d)?;
        if carried {
            break;
        }
    }
    if carried {
        let f = d.first();
        let key =
            f.info.unknown_key().map(|key| format!("/proc shows `{key}` of it, which this release does not know"));
        let flags =
            || Some(format!("it is open with flags ({:#o}) that this release does not know", f.info.unknown_flags()?));
        if let Some(unknown) = key.or_else(flags) {
            return refuse(
                RefusalKind::Descriptor,
                format!("{}: {unknown} and would lose: use --fd {}=null|FILE", f.name(), f.fd),
            );
        }
        BESIDES.iter().try_for_each(|besides| besides(cx, d))?;
        d.fds.iter().for_each(|f| cx.place(f, d.id));
    } else {
        outside::collect(cx, d)?;
    }
    Ok(())
}

/// Refuses if there is something to refuse; of several with what answers them all.
fn answers(refused: Vec<(i32, Refusal)>) -> Result<()> {
    let mut each: Vec<String> = refused.iter().map(|(fd, _)| format!("--fd {fd}=null")).collect();
    each.truncate(MANY);
    let mut all: Vec<Refusal> = refused.into_iter().map(|(_, why)| why).collect();
    if all.len() < 2 {
        return all.pop().map_or(Ok(()), |one| Err(one.into()));
    }
    let answer = format!(
        "{} descriptors stand in the way; all are answered by --fd outside=null (or close, or inherit), each by {}{}",
        all.len(),
        each.join(" "),
        if all.len() > MANY { " ..." } else { "" }
    );
    Err(Refusals { all, answer, add: Some("--fd outside=null") }.into())
}
