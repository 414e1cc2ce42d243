//! What travels with messages that wait in unix sockets; [`super::ancillary`] looks for it.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::os::fd::OwnedFd;

use cryo_tracee::sockets::Peeked;

/// A message with which something travels.
pub(super) struct Message {
    pub(super) at: u64,
    pub(super) len: u64,
    pub(super) sender: Option<(i32, u32, u32)>,
    /// Numbers of ours.
    pub(super) fds: Vec<i32>,
}

/// What waits in the unix sockets.
#[derive(Default)]
pub struct InFlight {
    /// Our duplicates, which the others refer to.
    pub(super) held: Vec<OwnedFd>,
    /// By the inode of the socket in which they wait.
    pub(super) messages: HashMap<u64, Vec<Message>>,
    /// All that waits, by the same, without descriptors. To look twice would be wrong: at an empty packet that it has shown once the kernel passes over
    /// (`skb->peeked`), when many are looked at.
    pub(super) queues: RefCell<HashMap<u64, Vec<Peeked>>>,
    /// The descriptors of processes, by those of ours that are to be found through them.
    pub(super) carriers: HashMap<i32, i32>,
    /// The inodes of sockets with messages that bring a pidfd of their sender, which was not the root.
    pub(super) forgotten: HashSet<u64>,
}
