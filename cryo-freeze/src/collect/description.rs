//! An open file description, and what its collectors work with. The list of collectors is in [`super::descriptors`].

use std::collections::HashMap;
use std::os::fd::OwnedFd;

pub use super::fd::Fd;
use super::in_flight::InFlight;
use super::machine::Machine;
use super::objects::Objects;
use super::socket_tables::SocketTables;
use super::{Collected, Held, Ids, Scene};
use crate::Result;
use crate::options::Options;

/// An open file description, and the descriptors that refer to it, of one process or of several.
pub struct Description<'f> {
    /// Its local id: its sections' owner.
    pub id: u64,
    /// The descriptors: by their holders, then ascending; never empty.
    pub fds: Vec<&'f Fd>,
}

impl<'f> Description<'f> {
    /// The descriptor to look at it through.
    pub fn first(&self) -> &'f Fd {
        self.fds[0]
    }
}

/// What a collector of descriptions works with.
pub struct Cx<'c> {
    /// The processes.
    pub scenes: &'c [Scene<'c>],
    /// Threads with a table of descriptors of their own, as if they were processes. Whose a descriptor is says [`Cx::of`].
    pub threads: &'c [Scene<'c>],
    /// Us, who have duplicates of what is in flight.
    pub us: &'c Scene<'c>,
    /// What travels with messages in unix sockets.
    pub in_flight: &'c InFlight,
    /// What was known before they stood still.
    pub machine: &'c Machine,
    /// The person's choices.
    pub options: &'c Options,
    /// For ids beyond the description's own.
    pub ids: &'c mut Ids,
    /// For content that is stored like memory.
    pub objects: &'c mut Objects,
    /// Where sections and notes go.
    pub out: &'c mut Collected,
    /// What is held until the image is written.
    pub held: &'c mut Held,
    /// Every description of theirs: the other end of a pair is found here, and its id is known before it is collected.
    pub all: &'c [Description<'c>],
    /// What was decided about things that several descriptions share, by device and inode: its id, or that it is outside.
    pub seen: HashMap<(u64, u64), Option<u64>>,
    /// What the collectors of sockets know already.
    pub sockets: SocketTables,
    /// Why a collector did not take a description of its kind, for the refusal.
    pub why: Option<String>,
    pub(super) inodes: HashMap<(u64, u64), Vec<usize>>,
    pub(super) numbers: HashMap<(usize, i32), &'c Fd>,
    pub(super) table: Vec<(&'c Fd, u64)>,
    pub(super) sent: HashMap<i32, u64>,
    pub(super) pidfds: &'c [OwnedFd],
}

impl<'c> Cx<'c> {
    /// A descriptor of ours for the same description. Whatever is done through it, the program sees.
    pub fn take(&self, f: &Fd) -> Result<OwnedFd> {
        Ok(cryo_tracee::fds::take(&self.pidfds[f.holder], f.fd)?)
    }

    /// The descriptions with this inode: both ends of a pipe, every opening of a file.
    pub fn with_inode(&self, dev: u64, ino: u64) -> impl Iterator<Item = &'c Description<'c>> + use<'c, '_> {
        let all = self.all;
        self.inodes.get(&(dev, ino)).into_iter().flatten().map(move |i| &all[*i])
    }

    /// The process that has this descriptor, or the thread with a table of its own. Of what travels with a message that is us.
    pub fn of(&self, f: &Fd) -> &'c Scene<'c> {
        self.scenes.iter().chain(self.threads).nth(f.holder).unwrap_or(self.us)
    }

    /// Does a message in a unix socket have it, and nobody else (see [`super::ancillary`])?
    pub fn is_in_flight(&self, f: &Fd) -> bool {
        f.holder == self.us.member
    }

    /// The descriptor of this number in the same table.
    pub fn beside(&self, f: &Fd, number: i32) -> Option<&'c Fd> {
        self.numbers.get(&(f.holder, number)).copied()
    }

    /// Gives one descriptor a description of its own, apart from the others of its group.
    pub fn place(&mut self, f: &'c Fd, id: u64) {
        if self.is_in_flight(f) {
            self.sent.insert(f.fd, id);
        } else {
            self.table.push((f, id));
        }
    }
}
