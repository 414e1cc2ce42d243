//! Processes that are ready to run, and what becomes of them.

use cryo_tracee::tracees::Listener;
use cryo_tracee::{Host, Stopped};

use crate::bound_files::BoundFiles;
use crate::posix_shm::Made;
use crate::remap::Shape;

/// Processes that go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thawed {
    /// The root's pid.
    pub pid: i32,
}

/// A process that goes on, and that who thawed it watches.
#[derive(Debug)]
pub struct Handed {
    /// Its pid.
    pub pid: i32,
    /// Its threads, without a main thread that has exited.
    pub tids: Vec<i32>,
    /// Children of it that have ended: the pid of the image, and the one here.
    pub zombies: Vec<(i32, i32)>,
    /// Where it asks, if it is watched so.
    pub listener: Option<Listener>,
}

/// None yet, or processes that stand before their first own instruction, with all that they had. Dropping it ends them.
#[derive(Default)]
pub struct Ready {
    pub(crate) hosts: Vec<(Host, Shape)>,
    pub(crate) bound: Option<BoundFiles>,
    pub(crate) shm: Option<Made>,
    /// Zombies: the place of their parent, their pid in the image, and the one here.
    pub(crate) zombies: Vec<(usize, i32, i32)>,
    /// Where processes ask that are watched: their places.
    pub(crate) listeners: Vec<(usize, Listener)>,
}

impl Ready {
    /// The processes' pids, in the order of the image's: the root first.
    pub fn pids(&self) -> impl Iterator<Item = i32> {
        self.hosts.iter().map(|(host, _)| host.pid())
    }

    /// Their processes with their threads, in the same order.
    pub fn handed(&mut self) -> Vec<Handed> {
        let mut listeners = std::mem::take(&mut self.listeners);
        let mut listener = |of| listeners.iter().position(|(i, _)| *i == of).map(|at| listeners.swap_remove(at).1);
        let tids = |host: &Host| host.threads().iter().map(Stopped::tid).collect();
        let zombies =
            |of| self.zombies.iter().filter(move |(parent, ..)| *parent == of).map(|(_, old, new)| (*old, *new));
        let handed = |(i, host)| Handed {
            pid: Host::pid(host),
            tids: tids(host),
            zombies: zombies(i).collect(),
            listener: listener(i),
        };
        self.hosts.iter().map(|(host, _)| host).enumerate().map(handed).collect()
    }

    /// Lets them run, all at once.
    pub fn run(self) -> Thawed {
        self.let_go(Host::release)
    }

    /// The same, but they stay traced by us, each in the stop that it comes to next ([`Options::watch`](crate::Options)).
    pub fn hand_over(self) -> Thawed {
        self.let_go(Host::hand_over)
    }

    fn let_go(mut self, how: impl Fn(Host) -> i32) -> Thawed {
        if let Some(bound) = self.bound.take() {
            bound.keep();
        }
        if let Some(shm) = self.shm.take() {
            shm.keep();
        }
        let mut pid = 0;
        for (host, shape) in self.hosts.drain(..).rev() {
            shape.keep();
            pid = how(host);
        }
        Thawed { pid }
    }
}

impl Drop for Ready {
    /// Children first: nobody's end is to be seen by a parent that has none of its own memory any more.
    fn drop(&mut self) {
        while self.hosts.pop().is_some() {}
    }
}
