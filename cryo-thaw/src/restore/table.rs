//! What restorers of descriptions work with: the descriptors under way, and the parking place. The list of restorers is in [`super::descriptors`].

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::IsTerminal;
use std::os::fd::OwnedFd;
use std::time::Duration;

use cryo_format::model::FileModel;
use cryo_format::section::attributes::InodeAttributes;
use cryo_format::section::descriptors::{Descriptor, Descriptors, ThreadDescriptors};
use cryo_format::section::files::OpenFile;
use cryo_format::section::objects::Object;
use cryo_format::section::outside::{FdRule, Instead};
use cryo_format::section::process::Process;
use cryo_format::section::removed::Removed;
use cryo_format::section::sessions::{Session, Sessions};
use cryo_format::section::{AnySection, Section};
use cryo_tracee::{Host, fds};

use super::courier::Courier;
use super::open::open;
use crate::Result;
use crate::bound_files::BoundFiles;
use crate::identity::Paths;
use crate::options::Options;

/// The descriptors under way, and the parking place.
pub struct Table<'a> {
    /// The person's choices.
    pub options: &'a Options,
    /// How much of the time in the ice counts, for what is done late.
    pub elapsed: Duration,
    /// Local id of the process, or of the thread with a table of its own, whose turn it is.
    pub process: u64,
    /// Local ids of all processes, in the order of their births.
    pub(super) processes: Vec<u64>,
    /// Local ids of the threads with a table of their own.
    pub(super) threads: Vec<u64>,
    /// Who is the first with a descriptor for a description.
    pub(super) holders: HashMap<u64, u64>,
    /// Everything in the .frost.
    pub frost: &'a FileModel,
    /// Every object of the image.
    pub objects: &'a [Object],
    /// Owners, times and the like of those that are files without a name.
    pub attributes: &'a [InodeAttributes],
    /// The image's own table of that one.
    pub wanted: &'a [Descriptor],
    pub(super) sections: HashMap<u64, Vec<&'a AnySection>>,
    /// Inodes without a name, by device and number: their ids and what they were.
    pub(super) removed: HashMap<(u64, u64), (u64, &'a Removed)>,
    pub(super) numbers: HashMap<u64, u32>,
    /// Descriptions that travel with messages in unix sockets, and the number of a descriptor through which each would be received, for messages.
    pub(super) in_flight: BTreeMap<u64, u32>,
    /// First number above all of the image's.
    pub(super) base: u64,
    /// The thawer's own descriptors, by their numbers, where they are parked.
    pub(super) inherited: HashMap<u32, u64>,
    /// The same of what is executed in the family.
    pub(super) handed_down: HashMap<u32, u64>,
    /// Descriptions made so far, by id, and where they are.
    pub(super) made: HashMap<u64, u64>,
    /// The pids of all, and of zombies, by those that they had, when they are born.
    pub pids: HashMap<u64, u64>,
    /// Descriptions that were made when all were born, as we have them.
    pub(super) late: HashMap<u64, OwnedFd>,
    /// How they come to others.
    pub(super) courier: Option<Courier>,
    /// Descriptions that the person wants closed.
    pub(super) closed: HashSet<u64>,
    /// Other things that restorers share (the pipe under its ends), by the image's id for them and a role of the restorer's own choice, where
    /// they are parked.
    pub(super) shared: HashMap<(u64, u8), u64>,
    /// Files whose content comes with the pages, by object: our handles on them.
    pub(super) contents: HashMap<u64, File>,
    pub(super) pidfd: OwnedFd,
    /// How paths are followed.
    pub paths: Paths<'a>,
    /// Files of sockets that were bound.
    pub bound: BoundFiles,
}

/// The descriptors of process `id`, or of the thread of this id, by their numbers.
pub(super) fn wanted(frost: &FileModel, id: u64) -> &[Descriptor] {
    let of_thread = || frost.get::<ThreadDescriptors>(id).map(|d| &d.descriptors[..]);
    frost.get::<Descriptors>(id).map(|d| &d.descriptors[..]).or_else(of_thread).unwrap_or_default()
}

impl<'a> Table<'a> {
    /// The session that process `id` leads on a pseudo-terminal of the image.
    pub fn led_session(&self, id: u64) -> Option<&'a Session> {
        self.frost.get::<Sessions>(0)?.led_by(self.frost.get::<Process>(id)?)
    }

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

    /// The directory or link of this device and inode number, if it has no name.
    pub fn removed(&self, dev: u64, ino: u64) -> Option<(u64, &'a Removed)> {
        self.removed.get(&(dev, ino)).copied()
    }

    /// The first descriptor that refers to a description, unless the person put something else at all of its numbers, or another process is the first
    /// that has one: what has to be done once for a description is done there.
    pub fn number(&self, id: u64) -> Option<u32> {
        self.numbers.get(&id).copied()
    }

    /// The description that a descriptor of the image refers to.
    pub fn description(&self, fd: u32) -> Option<u64> {
        let i = self.wanted.binary_search_by_key(&fd, |d| d.fd).ok()?;
        Some(self.wanted[i].description)
    }

    /// All who have a table, in the order in which they get it.
    pub(super) fn holders(&self) -> impl Iterator<Item = u64> + use<'a> {
        self.processes.iter().chain(&self.threads).copied().collect::<Vec<_>>().into_iter()
    }

    /// Has the root all to itself? Else everything is made in it first, and the others are born with it.
    pub(super) fn is_alone(&self) -> bool {
        self.processes.len() == 1 && self.threads.is_empty()
    }

    /// Local id of the root.
    pub fn root(&self) -> u64 {
        self.processes.first().copied().unwrap_or(0)
    }

    /// Where the host has a description that is made.
    pub fn at(&self, id: u64) -> Option<u64> {
        self.made.get(&id).copied()
    }

    /// Those in flight that no process has a descriptor of: they are parked until all is done for them that is to be done.
    pub(super) fn only_in_flight(&self) -> Vec<(u64, u64)> {
        let ids = self.in_flight.keys().filter(|id| !self.holders.contains_key(id));
        ids.filter_map(|id| Some((*id, self.at(*id)?))).collect()
    }

    /// The pid that a process of the image, or a zombie, has now, by the one that it had; as the processes see it. None before all are born.
    pub fn pid(&self, old: u64) -> Option<u64> {
        self.pids.get(&old).copied()
    }

    /// What a description is, for messages.
    pub fn name(&self, id: u64) -> String {
        self.section::<OpenFile>(id).map_or_else(|| format!("description {id}"), |f| f.path.lossless())
    }

    /// Did the person put something else at this number? They speak of the root.
    pub fn ruled(&self, fd: u32) -> bool {
        self.rule(fd).is_some()
    }

    /// What the person put at this number.
    pub(super) fn rule(&self, fd: u32) -> Option<&'a Instead> {
        if self.processes.first() == Some(&self.process) { FdRule::of(&self.options.fds, fd) } else { None }
    }

    /// From here on it is the turn of process `id`, which `host` is, or of the thread that acts for it.
    pub(super) fn turn_to(&mut self, host: &Host, id: u64, paths: Paths<'a>) -> Result<()> {
        (self.process, self.paths) = (id, paths);
        self.wanted = wanted(self.frost, id);
        self.pidfd = fds::pidfd(host.tid())?;
        self.numbers.clear();
        for d in self.wanted {
            if self.holders.get(&d.description) == Some(&id) && !self.ruled(d.fd) {
                self.numbers.entry(d.description).or_insert(d.fd);
            }
        }
        if self.processes.first() == Some(&id) {
            self.numbers.extend(self.only_in_flight().into_iter().map(|(id, at)| (id, at as u32)));
        }
        Ok(())
    }

    /// What is parked stays open in this host, whatever it executes.
    pub fn keep_across_exec(&self, host: &mut Host) -> Result<()> {
        let parked = cryo_tracee::proc::descriptors(host.pid())?.into_iter().filter(|fd| *fd as u64 >= self.base);
        let mut batch = host.batch()?;
        for fd in parked {
            batch.call(libc::SYS_fcntl, &[fd as u64, libc::F_SETFD as u64, 0]);
        }
        Ok(host.run(batch)?.all()?)
    }

    /// Where the thawer's own descriptor is parked.
    pub fn inherited(&self, fd: u32) -> Option<u64> {
        self.inherited.get(&fd).copied()
    }

    /// Where a descriptor of ours is parked that is executed in the family.
    pub fn handed_down(&self, fd: u32) -> Option<u64> {
        self.handed_down.get(&fd).copied()
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
        // A leader of a session of its own has another controlling terminal, or none.
        let own = self.led_session(self.process).is_some();
        if !own && let Ok(opened) = open(host, b"/dev/tty", libc::O_RDWR | libc::O_CLOEXEC | libc::O_NOCTTY)? {
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
}
