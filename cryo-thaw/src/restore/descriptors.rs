//! `FDTB`, `FDTT`: descriptors at their numbers, and the restorers of descriptions.
//!
//! Each description is made when its first descriptor is due, and goes to that number at once. What several of them share, and the thawer's own
//! descriptors, are parked above all numbers that the image uses meanwhile. When the pages are there, the parking place is closed and what needs
//! everything else is done.
//!
//! To bring back a further kind: a module with `fn restore(host, table, fd, id) -> Result<Option<u64>>`, and its line in `RESTORERS`; what has
//! to wait until all descriptors are there is a function in `LATE`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use cryo_format::Kind;
use cryo_format::model::FileModel;
use cryo_format::section::attributes::Attributes;
use cryo_format::section::descriptors::{Descriptor, ThreadDescriptors};
use cryo_format::section::epoll::Epoll;
use cryo_format::section::inet::Inet;
use cryo_format::section::objects::Objects;
use cryo_format::section::outside::{FdRule, Instead, Outside};
use cryo_format::section::removed::Removed;
use cryo_format::section::unix::Unix;
use cryo_format::section::{AnySection, Scope, Section};
use cryo_tracee::{Host, fds, proc};

use super::table::{Table, wanted};
use super::{
    ancillary, epoll, eventfd, fanotify, files, files_at_once, inet, inotify, late, locks, mqueues, netlink, outside,
    owners, packet, pidfd, pipes, ptys, raw, removed, sessions, signalfd, timerfd, unix,
};
use crate::bound_files::BoundFiles;
use crate::error::{Doing, RefusalKind, refuse};
use crate::identity::Paths;
use crate::options::Options;
use crate::{Error, Refusal, Refusals, Result};

/// So many descriptors are named in one line.
const MANY: usize = 10;

/// Makes the description `id` in the host if it is of the restorer's kind, and returns a descriptor's number there. `fd` is the first
/// descriptor that will refer to it, for messages.
type Restorer = fn(&mut Host, &mut Table<'_>, fd: u32, id: u64) -> Result<Option<u64>>;

/// The kinds, asked in turn.
const RESTORERS: &[Restorer] = &[
    removed::restore,
    files::restore,
    mqueues::restore,
    pipes::restore,
    outside::restore,
    unix::restore,
    netlink::restore,
    inet::restore,
    raw::restore,
    packet::restore,
    eventfd::restore,
    signalfd::restore,
    timerfd::restore,
    pidfd::restore,
    epoll::restore,
    inotify::restore,
    fanotify::restore,
    ptys::restore,
    sessions::dev_tty,
];

/// What is done when every descriptor is at its number, the parking place is closed and all pages are there, in this order.
const LATE: &[fn(&mut Host, &Table<'_>) -> Result<()>] = &[
    files::late,
    inet::late,
    timerfd::late,
    epoll::late,
    inotify::late,
    fanotify::late,
    ptys::late,
    owners::late,
    locks::late,
];

/// The table of a family whose local ids are `processes`, the root's first.
pub fn table<'a>(
    host: &Host,
    frore: &'a FileModel,
    frost: &'a FileModel,
    processes: &[u64],
    paths: Paths<'a>,
    options: &'a Options,
) -> Result<Table<'a>> {
    let objects = frore.get::<Objects>(0).map_or(&[][..], |o| &o.objects);
    let attributes = frore.get::<Attributes>(0).map_or(&[][..], |a| &a.inodes);
    let mut sections: HashMap<u64, Vec<&AnySection>> = HashMap::new();
    for e in &frost.sections {
        if e.payload.info().is_some_and(|i| i.scope == Scope::Description) {
            sections.entry(e.owner).or_default().push(&e.payload);
        }
    }
    let threads: Vec<u64> =
        frost.all::<ThreadDescriptors>().filter(|(_, own)| own.shared_with == 0).map(|(id, _)| id).collect();
    let holders = || processes.iter().chain(&threads);
    let all = || holders().flat_map(|id| wanted(frost, *id).iter().map(move |d| (*id, d)));
    // A set watches by numbers that may be free; they are used while it is filled.
    let watched = frost.all::<Epoll>().flat_map(|(_, set)| &set.watches.0).map(|w| w.fd);
    let highest = all().map(|(_, d)| d.fd).chain(watched).max().unwrap_or(0).max(2);
    // Parking needs numbers above the image's own: the soft limit may be in the way until the image's is set.
    cryo_tracee::host::raise_file_limit(host.pid())?;
    let root = processes.first().copied().unwrap_or(0);
    let mut table = Table {
        options,
        elapsed: Duration::ZERO,
        process: root,
        processes: processes.to_vec(),
        threads: threads.clone(),
        holders: HashMap::new(),
        frost,
        objects,
        attributes,
        wanted: wanted(frost, root),
        sections,
        removed: HashMap::new(),
        numbers: HashMap::new(),
        in_flight: BTreeMap::new(),
        pids: HashMap::new(),
        late: HashMap::new(),
        courier: None,
        base: u64::from(highest) + 1,
        inherited: HashMap::new(),
        handed_down: HashMap::new(),
        made: HashMap::new(),
        closed: HashSet::new(),
        shared: HashMap::new(),
        contents: HashMap::new(),
        pidfd: fds::pidfd(host.pid())?,
        paths,
        bound: BoundFiles::new(paths.rights.clone(), options.notes.clone()),
    };
    table.removed = table.all::<Removed>().into_iter().map(|(id, r)| ((r.dev, r.ino), (id, r))).collect();
    let ruled: HashSet<u32> = options.fds.iter().filter_map(|r| r.fd).collect();
    for (id, d) in all().filter(|(id, d)| *id != root || !ruled.contains(&d.fd)) {
        table.holders.entry(d.description).or_insert(id);
        table.numbers.entry(d.description).or_insert(d.fd);
    }
    ancillary::find(&mut table);
    Ok(table)
}

/// What a host has that was open elsewhere, by the numbers there, and its own numbers.
pub struct Lent<'a> {
    /// Of who asked for the thaw.
    pub callers: Vec<(u32, u64)>,
    /// Of ours: what is executed in the family.
    pub executables: &'a [(u32, u64)],
}

/// Brings back the descriptors of the root, but for what [`finish`] does, and makes the descriptions of all others, above all numbers: who is born
/// later has them from its parent. `unlinked` are the host's descriptors for objects that were made already. Without what was `lent` it has all that we have
/// open, by our numbers.
pub fn restore(
    host: &mut Host,
    table: &mut Table<'_>,
    unlinked: &HashMap<u64, u64>,
    lent: Option<Lent<'_>>,
) -> Result<()> {
    // What mappings have made.
    for (object, fd) in unlinked {
        let parked = table.keep(host, *object, 0, *fd)?;
        // The same description: what is being executed, nobody may open for writing.
        table.fill_through(*object, fds::take(&table.pidfd, parked as i32)?.into());
    }
    let ours: HashSet<u64> = unlinked.keys().filter_map(|object| table.parked(*object, 0)).collect();
    // Above the image's numbers it is parked, all else closes.
    let all_are_ours = lent.is_none();
    let Lent { callers, executables } = match lent {
        Some(lent) => lent,
        None => {
            let all = proc::descriptors(host.pid())?.into_iter().filter(|fd| !ours.contains(&(*fd as u64)));
            Lent { callers: all.map(|fd| (fd as u32, fd as u64)).collect(), executables: &[] }
        }
    };
    let mut batch = host.batch()?;
    let mut park = |at| batch.call(libc::SYS_fcntl, &[at, libc::F_DUPFD_CLOEXEC as u64, table.base]);
    let parked: Vec<(u32, usize)> = callers.iter().map(|(number, at)| (*number, park(*at))).collect();
    let handed_down: Vec<(u32, usize)> = executables.iter().map(|(number, at)| (*number, park(*at))).collect();
    batch.call(libc::SYS_close_range, &[0, table.base - 1, 0]);
    let done = host.run(batch)?;
    let parking = || "parking what is inherited, and closing all else".into();
    done.all().doing(parking)?;
    for (number, call) in parked {
        table.inherited.insert(number, done.result(call).doing(parking)?);
    }
    if all_are_ours {
        table.handed_down.clone_from(&table.inherited);
    }
    for (number, call) in handed_down {
        table.handed_down.insert(number, done.result(call).doing(parking)?);
    }
    if !table.is_alone() || !table.in_flight.is_empty() {
        make_all(host, table)?;
    }
    late::prepare(host, table)?;
    settle(host, table)?;
    removed::prepare(host, table)
}

/// The same for process `id`, which was born with all that the root had made, or for a thread that has just left the table of its process. One that has its
/// descriptors in `common` with its parent finds them there.
pub fn enter<'a>(host: &mut Host, table: &mut Table<'a>, id: u64, paths: Paths<'a>, common: bool) -> Result<()> {
    table.turn_to(host, id, paths)?;
    if common {
        return Ok(());
    }
    host.call(libc::SYS_close_range, [0, table.base - 1, 0, 0, 0, 0])
        .doing(|| "closing what the host had open".into())?;
    settle(host, table)
}

/// Makes every description of the family in the root; for one process only what is in flight, which is made first. What the person put at a number of the
/// root's is that for all of a family who share the description.
fn make_all(host: &mut Host, table: &mut Table<'_>) -> Result<()> {
    let frost = table.frost;
    let mut refused = Vec::new();
    let mut failed = HashSet::new();
    let mut seen = HashSet::new();
    let alone = table.is_alone();
    let holders: Vec<u64> = if alone { Vec::new() } else { table.holders().collect() };
    let mut rules: HashMap<u64, &Instead> = HashMap::new();
    for d in table.wanted.iter().filter(|_| !alone) {
        if let Some(rule) = table.rule(d.fd) {
            rules.entry(d.description).or_insert(rule);
        }
    }
    // What is sent with messages of unix sockets is there before those are.
    let early: Vec<Descriptor> = ancillary::early(table);
    let all: Vec<&Descriptor> = early.iter().chain(holders.iter().flat_map(|id| wanted(frost, *id))).collect();
    files_at_once::open(host, table, &all, true)?;
    for d in all {
        if !seen.insert(d.description) || table.made.contains_key(&d.description) {
            continue;
        }
        let made = match rules.get(&d.description) {
            Some(rule) => by_rule(host, d.fd, rule, table),
            None if late::is(table, d.description) => continue,
            None if made_together(table, d).is_some_and(|kind| failed.contains(&kind)) => continue,
            None => make(host, table, d),
        };
        match made {
            Ok(Some(opened)) => {
                let parked = table.park(host, opened)?;
                table.made.insert(d.description, parked);
            }
            Ok(None) => drop(table.closed.insert(d.description)),
            Err(Error::Refused(why)) => {
                failed.extend(made_together(table, d));
                refused.push((d, why));
            }
            Err(e) => return Err(about_fd(e, d.fd)),
        }
    }
    answers(table, refused)
}

/// Makes the descriptions, in the order of their first descriptors. The kernel gives the lowest number that is free, which is never above the
/// one that is wanted: often that very number, and otherwise it is moved there at once. So a program with as many descriptors as it may have
/// is thawed under the same limit.
fn settle(host: &mut Host, table: &mut Table<'_>) -> Result<()> {
    if table.is_alone() {
        files_at_once::open(host, table, &table.wanted.iter().collect::<Vec<_>>(), false)?;
    }
    let mut batch = host.batch()?;
    // All that stands in the way is told at once.
    let mut refused = Vec::new();
    let mut failed = HashSet::new();
    for d in table.wanted {
        let (fd, flags) = (u64::from(d.fd), if d.flags & 1 != 0 { libc::O_CLOEXEC as u64 } else { 0 });
        if table.closed.contains(&d.description) {
            continue;
        }
        // Of a family, all is made by now.
        let rule = table.rule(d.fd).filter(|_| table.is_alone());
        let opened = match (rule, table.made.get(&d.description)) {
            (None, Some(at)) if *at == fd => continue,
            (None, Some(at)) => {
                batch.call(libc::SYS_dup3, &[*at, fd, flags]);
                continue;
            }
            (Some(rule), _) => by_rule(host, d.fd, rule, table),
            (None, None) if late::is(table, d.description) => continue,
            (None, None) if made_together(table, d).is_some_and(|kind| failed.contains(&kind)) => continue,
            (None, None) => make(host, table, d),
        };
        let opened = match opened {
            Ok(Some(opened)) => opened,
            Ok(None) => continue,
            Err(Error::Refused(why)) => {
                failed.extend(made_together(table, d));
                refused.push((d, why));
                continue;
            }
            Err(e) => return Err(about_fd(e, d.fd)),
        };
        let mut at = fd;
        if opened >= table.base {
            // Its restorer has parked it, and may need it there.
            batch.call(libc::SYS_dup3, &[opened, fd, flags]);
            at = opened;
        } else if opened == fd {
            batch.call(libc::SYS_fcntl, &[fd, libc::F_SETFD as u64, (d.flags & 1).into()]);
        } else {
            host.call(libc::SYS_dup3, [opened, fd, flags, 0, 0, 0])?;
            host.call(libc::SYS_close, [opened, 0, 0, 0, 0, 0])?;
        }
        if rule.is_none() {
            table.made.insert(d.description, at);
        }
    }
    host.run(batch)?.all().doing(|| "giving the descriptors their numbers".into())?;
    answers(table, refused)
}

/// A call inside the host knows nothing of the descriptor that it is made for.
fn about_fd(e: Error, fd: u32) -> Error {
    match e {
        Error::Tracee(e) => Error::Tracee(e.of(&format!("fd {fd}"))),
        other => other,
    }
}

/// Makes the description of a descriptor; nothing where it is outside, not to be had, and the person wants it closed then.
fn make(host: &mut Host, table: &mut Table<'_>, d: &Descriptor) -> Result<Option<u64>> {
    match (description(host, table, d.fd, d.description), FdRule::outside(&table.options.fds)) {
        (Err(Error::Refused(_)), Some(instead)) if is_outside(table, d) => by_rule(host, d.fd, instead, table),
        (made, _) => made.map(Some),
    }
}

/// Sockets of one kind are made all at once, when the first is asked for. Where that failed, to ask for the next would only meet what was half made.
fn made_together(table: &Table<'_>, d: &Descriptor) -> Option<Kind> {
    let unix = table.section::<Unix>(d.description).map(|_| Unix::KIND);
    unix.or_else(|| table.section::<Inet>(d.description).map(|_| Inet::KIND))
}

fn is_outside(table: &Table<'_>, d: &Descriptor) -> bool {
    table.section::<Outside>(d.description).is_some()
}

/// Refuses if there is something to refuse; of several with what answers them all.
fn answers(table: &Table<'_>, refused: Vec<(&Descriptor, Refusal)>) -> Result<()> {
    let outside = refused.iter().all(|(d, _)| is_outside(table, d));
    let each: Vec<String> = refused.iter().take(MANY).map(|(d, _)| format!("--fd {}=null", d.fd)).collect();
    let mut all: Vec<Refusal> = refused.into_iter().map(|(_, why)| why).collect();
    if all.len() < 2 {
        return all.pop().map_or(Ok(()), |one| Err(one.into()));
    }
    let at_once =
        if outside { "all are answered by --fd outside=null (or close), each by" } else { "they are answered by" };
    let more = if all.len() > MANY { " ..." } else { "" };
    let answer = format!("{} descriptors stand in the way; {at_once} {}{more}", all.len(), each.join(" "));
    Err(Refusals { all, answer, add: outside.then_some("--fd outside=null") }.into())
}

/// The rest for process or thread `id`, when all pages are there; `elapsed` is how much of the time in the ice counts.
pub fn finish<'a>(host: &mut Host, table: &mut Table<'a>, id: u64, paths: Paths<'a>, elapsed: Duration) -> Result<()> {
    table.turn_to(host, id, paths)?;
    table.elapsed = elapsed;
    late::place(host, table)?;
    // Locks and leases do not suffer a second opening of their file beside the program's own.
    table.contents.clear();
    let mut parked: Vec<u64> = epoll::borrowed(table).into_iter().filter_map(|id| table.at(id)).collect();
    if table.processes.first() == Some(&id) {
        parked.extend(table.only_in_flight().into_iter().map(|(_, at)| at));
    }
    parked.retain(|at| *at >= table.base);
    parked.sort_unstable();
    parked.dedup();
    close_but(host, table.base, &parked)?;
    LATE.iter().try_for_each(|late| late(host, table))?;
    if parked.is_empty() { Ok(()) } else { close_but(host, table.base, &[]) }
}

/// Closes all descriptors from `first` on, but for some, which are sorted and not below it.
fn close_but(host: &mut Host, first: u64, but: &[u64]) -> Result<()> {
    let mut batch = host.batch()?;
    let mut from = first;
    for at in but {
        if *at > from {
            batch.call(libc::SYS_close_range, &[from, at - 1, 0]);
        }
        from = at + 1;
    }
    batch.call(libc::SYS_close_range, &[from, u32::MAX.into(), 0]);
    host.run(batch)?.all().doing(|| "closing what the host had open".into())
}

fn by_rule(host: &mut Host, fd: u32, instead: &Instead, table: &Table<'_>) -> Result<Option<u64>> {
    let path = match instead {
        Instead::Close => return Ok(None),
        Instead::Inherit => match table.inherited(fd) {
            Some(parked) => return table.duplicate(host, parked).map(Some),
            None => {
                return refuse(
                    RefusalKind::Argument,
                    format!("--fd {fd}=inherit: cryo-thaw itself has no descriptor {fd}"),
                );
            }
        },
        Instead::Null => b"/dev/null".as_slice(),
        Instead::File(path) => &path[..],
    };
    outside::path(host, fd, path, libc::O_RDWR | libc::O_CLOEXEC).map(Some)
}

/// Makes a description of any kind.
fn description(host: &mut Host, table: &mut Table<'_>, fd: u32, id: u64) -> Result<u64> {
    for restorer in RESTORERS {
        if let Some(made) = restorer(host, table, fd, id)? {
            return Ok(made);
        }
    }
    refuse(RefusalKind::Image, format!("fd {fd}: its description {id} is of a kind that is unknown to this release"))
}
