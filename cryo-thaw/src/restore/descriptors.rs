//! `FDTB`: descriptors at their numbers, and the restorers of descriptions.
//!
//! Each description is made when its first descriptor is due, and goes to that number at once. What several of them share, and the thawer's own
//! descriptors, are parked above all numbers that the image uses meanwhile. When the pages are there, the parking place is closed and what needs
//! everything else is done.
//!
//! To bring back a further kind: a module with `fn restore(host, table, fd, id) -> Result<Option<u64>>`, and its line in `RESTORERS`; what has
//! to wait until all descriptors are there is a function in `LATE`.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::IsTerminal;
use std::os::fd::OwnedFd;
use std::time::Duration;

use cryo_format::model::FileModel;
use cryo_format::section::attributes::{Attributes, InodeAttributes};
use cryo_format::section::descriptors::{Descriptor, Descriptors};
use cryo_format::section::files::OpenFile;
use cryo_format::section::objects::{Object, Objects};
use cryo_format::section::outside::{FdRule, Policy};
use cryo_format::section::{AnySection, Scope, Section};
use cryo_tracee::{Host, fds, proc};

use super::{
    epoll, eventfd, fanotify, files, inet, inotify, locks, mqueues, netlink, outside, owners, paths, pidfd, pipes,
    ptys, signalfd, timerfd, unix,
};
use crate::Result;
use crate::bound_files::BoundFiles;
use crate::error::refuse;
use crate::identity::Paths;
use crate::options::Options;
use crate::unlinked;

/// Makes the description `id` in the host if it is of the restorer's kind, and returns a descriptor's number there. `fd` is the first
/// descriptor that will refer to it, for messages.
type Restorer = fn(&mut Host, &mut Table<'_>, fd: u32, id: u64) -> Result<Option<u64>>;

/// The kinds, asked in turn.
const RESTORERS: &[Restorer] = &[
    files::restore,
    mqueues::restore,
    pipes::restore,
    outside::restore,
    unix::restore,
    netlink::restore,
    inet::restore,
    eventfd::restore,
    signalfd::restore,
    timerfd::restore,
    pidfd::restore,
    epoll::restore,
    inotify::restore,
    fanotify::restore,
    ptys::restore,
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

/// The descriptors under way, and the parking place.
pub struct Table<'a> {
    /// The person's choices.
    pub options: &'a Options,
    /// How much of the time in the ice counts, for what is done late.
    pub elapsed: Duration,
    /// Local id of the process.
    pub process: u64,
    /// Everything in the .frost.
    pub frost: &'a FileModel,
    /// Every object of the image.
    pub objects: &'a [Object],
    /// Owners, times and the like of those that are files without a name.
    pub attributes: &'a [InodeAttributes],
    /// The image's own table.
    pub wanted: &'a [Descriptor],
    sections: HashMap<u64, Vec<&'a AnySection>>,
    numbers: HashMap<u64, u32>,
    /// First number above all of the image's.
    base: u64,
    /// The thawer's own descriptors, by their numbers, where they are parked.
    inherited: HashMap<u32, u64>,
    /// Descriptions made so far, by id, and where they are.
    made: HashMap<u64, u64>,
    /// Other things that restorers share (the pipe under its ends), by the image's id for them and a role of the restorer's own choice, where
    /// they are parked.
    shared: HashMap<(u64, u8), u64>,
    /// Files whose content comes with the pages, by object: our handles on them.
    contents: HashMap<u64, File>,
    pidfd: OwnedFd,
    /// How paths are followed.
    pub paths: Paths<'a>,
    /// Files of sockets that were bound.
    pub bound: BoundFiles,
}

impl<'a> Table<'a> {
    /// The section of a type that belongs to a description.
    pub fn section<S: Section>(&self, id: u64) -> Option<&'a S> {
        self.sections.get(&id)?.iter().find_map(|s| S::of(s))
    }

    /// All sections of a type, with their owners, in the order of their ids.
    pub fn all<S: Section>(&self) -> Vec<(u64, &'a S)> {
        let mut all: Vec<_> = self.sections.keys().filter_map(|id| Some((*id, self.section(*id)?))).collect();
        all.sort_by_key(|(id, _)| *id);
        all
    }

    /// The first descriptor that refers to a description, unless the person put something else at all of its numbers.
    pub fn number(&self, id: u64) -> Option<u32> {
        self.numbers.get(&id).copied()
    }

    /// The description that a descriptor of the image refers to.
    pub fn description(&self, fd: u32) -> Option<u64> {
        let i = self.wanted.binary_search_by_key(&fd, |d| d.fd).ok()?;
        Some(self.wanted[i].description)
    }

    /// What a description is, for messages.
    pub fn name(&self, id: u64) -> String {
        self.section::<OpenFile>(id).map_or_else(|| format!("description {id}"), |f| f.path.lossless())
    }

    /// Did the person put something else at this number?
    pub fn ruled(&self, fd: u32) -> bool {
        self.options.fds.iter().any(|r| r.fd == fd)
    }

    /// Where the thawer's own descriptor is parked.
    pub fn inherited(&self, fd: u32) -> Option<u64> {
        self.inherited.get(&fd).copied()
    }

    /// A further descriptor of a parked one's description.
    pub fn duplicate(&self, host: &mut Host, parked: u64) -> Result<u64> {
        Ok(host.call(libc::SYS_fcntl, [parked, libc::F_DUPFD_CLOEXEC as u64, self.base, 0, 0, 0])?)
    }

    /// The host, for [`fds::take`].
    pub fn pidfd(&self) -> &OwnedFd {
        &self.pidfd
    }

    /// A descriptor of ours for what the host has at `fd`.
    pub fn take(&self, fd: u64) -> Result<OwnedFd> {
        Ok(fds::take(&self.pidfd, fd as i32)?)
    }

    /// The thawer's terminal: its controlling one, else the first of its standard descriptors that is one.
    pub fn terminal(&self, host: &mut Host) -> Result<Option<u64>> {
        if let Ok(opened) = paths::open(host, b"/dev/tty", libc::O_RDWR | libc::O_CLOEXEC | libc::O_NOCTTY)? {
            return Ok(Some(opened));
        }
        let terminals =
            [std::io::stdin().is_terminal(), std::io::stdout().is_terminal(), std::io::stderr().is_terminal()];
        let parked = (0..3).zip(terminals).find_map(|(fd, is)| self.inherited(fd).filter(|_| is));
        parked.map(|p| self.duplicate(host, p)).transpose()
    }

    /// What was [parked](Self::keep) under an id of the image.
    pub fn parked(&self, id: u64, role: u8) -> Option<u64> {
        self.shared.get(&(id, role)).copied()
    }

    /// What was kept, for whoever comes first: it leaves its parking place.
    pub fn claim(&mut self, host: &mut Host, id: u64, role: u8) -> Result<Option<u64>> {
        let Some(parked) = self.shared.remove(&(id, role)) else { return Ok(None) };
        let mut batch = host.batch()?;
        let call = batch.call(libc::SYS_fcntl, &[parked, libc::F_DUPFD_CLOEXEC as u64, 0]);
        batch.call(libc::SYS_close, &[parked]);
        let done = host.run(batch)?;
        done.all()?;
        Ok(Some(done.result(call)?))
    }

    /// Keeps in mind where something is, without parking it.
    pub fn remember(&mut self, id: u64, role: u8, at: u64) {
        self.shared.insert((id, role), at);
    }

    /// Parks a descriptor of the host for other descriptions, under an id of the image that is not a description's.
    pub fn keep(&mut self, host: &mut Host, id: u64, role: u8, fd: u64) -> Result<u64> {
        let parked = self.park(host, fd)?;
        self.shared.insert((id, role), parked);
        Ok(parked)
    }

    /// A description that was made together with another one: it will not be asked for again.
    pub fn made(&mut self, host: &mut Host, id: u64, fd: u64) -> Result<()> {
        let parked = self.park(host, fd)?;
        self.made.insert(id, parked);
        Ok(())
    }

    /// Our own handle on the file of an object, through which its content will be written.
    pub fn fill_through(&mut self, object: u64, file: File) {
        self.contents.insert(object, file);
    }

    /// The files whose content comes with the pages.
    pub fn contents(&self) -> &HashMap<u64, File> {
        &self.contents
    }

    /// Moves a descriptor of the host above the image's numbers, if it is not there.
    pub fn park(&self, host: &mut Host, fd: u64) -> Result<u64> {
        if fd >= self.base {
            return Ok(fd);
        }
        let parked = self.duplicate(host, fd)?;
        host.call(libc::SYS_close, [fd, 0, 0, 0, 0, 0])?;
        Ok(parked)
    }

    /// Makes the descriptions, in the order of their first descriptors. The kernel gives the lowest number that is free, which is never above the
    /// one that is wanted: often that very number, and otherwise it is moved there at once. So a program with as many descriptors as it may have
    /// is thawed under the same limit.
    fn settle(&mut self, host: &mut Host) -> Result<()> {
        let mut batch = host.batch()?;
        for d in self.wanted {
            let (fd, flags) = (u64::from(d.fd), if d.flags & 1 != 0 { libc::O_CLOEXEC as u64 } else { 0 });
            let rule = FdRule::of(&self.options.fds, d.fd);
            let opened = match (rule, self.made.get(&d.description)) {
                (None, Some(at)) => {
                    batch.call(libc::SYS_dup3, &[*at, fd, flags]);
                    continue;
                }
                (Some(rule), _) => by_rule(host, rule, self)?,
                (None, None) => description(host, self, d.fd, d.description)?,
            };
            let mut at = fd;
            if opened >= self.base {
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
                self.made.insert(d.description, at);
            }
        }
        host.run(batch)?.all()?;
        Ok(())
    }

    /// The rest, when all pages are there; `elapsed` is how much of the time in the ice counts.
    /// What was made outside of the host is returned, and goes with it unless the thaw comes about.
    pub fn finish(mut self, host: &mut Host, elapsed: Duration) -> Result<BoundFiles> {
        self.elapsed = elapsed;
        // Locks and leases do not suffer a second opening of their file beside the program's own.
        self.contents.clear();
        host.call(libc::SYS_close_range, [self.base, u32::MAX.into(), 0, 0, 0, 0])?;
        LATE.iter().try_for_each(|late| late(host, &self))?;
        Ok(self.bound)
    }
}

/// Brings back the descriptors of process `id`, but for what [`Table::finish`] does. `unlinked` are the host's descriptors for objects that were
/// made already.
pub fn restore<'a>(
    host: &mut Host,
    frore: &'a FileModel,
    frost: &'a FileModel,
    id: u64,
    unlinked: &HashMap<u64, u64>,
    paths: Paths<'a>,
    options: &'a Options,
) -> Result<Table<'a>> {
    let wanted = frost.get::<Descriptors>(id).map_or(&[][..], |d| &d.descriptors);
    let objects = frore.get::<Objects>(0).map_or(&[][..], |o| &o.objects);
    let attributes = frore.get::<Attributes>(0).map_or(&[][..], |a| &a.inodes);
    let mut sections: HashMap<u64, Vec<&AnySection>> = HashMap::new();
    for e in &frost.sections {
        if e.payload.info().is_some_and(|i| i.scope == Scope::Description) {
            sections.entry(e.owner).or_default().push(&e.payload);
        }
    }
    let highest = wanted.iter().map(|d| d.fd).max().unwrap_or(0).max(2);
    // Parking needs numbers above the image's own: the soft limit may be in the way until the image's is set.
    cryo_tracee::host::raise_file_limit(host.pid())?;
    let mut table = Table {
        options,
        elapsed: Duration::ZERO,
        process: id,
        frost,
        objects,
        attributes,
        wanted,
        sections,
        numbers: HashMap::new(),
        base: u64::from(highest) + 1,
        inherited: HashMap::new(),
        made: HashMap::new(),
        shared: HashMap::new(),
        contents: HashMap::new(),
        pidfd: fds::pidfd(host.pid())?,
        paths,
        bound: BoundFiles::new(paths.rights.clone()),
    };
    let ruled: HashSet<u32> = options.fds.iter().map(|r| r.fd).collect();
    for d in wanted.iter().filter(|d| !ruled.contains(&d.fd)) {
        table.numbers.entry(d.description).or_insert(d.fd);
    }
    // What mappings have made.
    for (object, fd) in unlinked {
        let parked = table.keep(host, *object, 0, *fd)?;
        table.fill_through(*object, unlinked::open(host, parked)?);
    }
    let ours: HashSet<u64> = unlinked.keys().filter_map(|object| table.parked(*object, 0)).collect();
    // What the host has from us: above the image's numbers it is parked, all else closes.
    for fd in proc::descriptors(host.pid())?.into_iter().filter(|fd| !ours.contains(&(*fd as u64))) {
        let parked = table.duplicate(host, fd as u64)?;
        table.inherited.insert(fd as u32, parked);
    }
    host.call(libc::SYS_close_range, [0, table.base - 1, 0, 0, 0, 0])?;
    table.settle(host)?;
    Ok(table)
}

fn by_rule(host: &mut Host, rule: &FdRule, table: &Table<'_>) -> Result<u64> {
    let fd = rule.fd;
    let path = match rule.policy {
        Policy::INHERIT => match table.inherited(fd) {
            Some(parked) => return table.duplicate(host, parked),
            None => return refuse(format!("--fd {fd}=inherit: cryo-thaw itself has no descriptor {fd}")),
        },
        Policy::NULL => b"/dev/null".as_slice(),
        _ => &rule.path[..],
    };
    outside::path(host, fd, path, libc::O_RDWR | libc::O_CLOEXEC)
}

/// Makes a description of any kind.
fn description(host: &mut Host, table: &mut Table<'_>, fd: u32, id: u64) -> Result<u64> {
    for restorer in RESTORERS {
        if let Some(made) = restorer(host, table, fd, id)? {
            return Ok(made);
        }
    }
    refuse(format!("fd {fd}: its description {id} is of a kind that is unknown to this release"))
}

/// The flags of a new description that fcntl(2) can change. O_ASYNC is its owner's affair.
pub fn set_flags(host: &mut Host, fd: u64, open_flags: u64) -> Result<()> {
    let flags = open_flags as i32 & (libc::O_APPEND | libc::O_NONBLOCK | libc::O_DIRECT | libc::O_NOATIME);
    host.call(libc::SYS_fcntl, [fd, libc::F_SETFL as u64, flags as u64, 0, 0, 0])?;
    Ok(())
}
