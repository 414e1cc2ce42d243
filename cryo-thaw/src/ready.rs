//! Processes that are ready to run, and what becomes of them.

use cryo_tracee::Host;

use crate::bound_files::BoundFiles;
use crate::posix_shm::Made;
use crate::remap::Shape;

/// Processes that go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thawed {
    /// The root's pid.
    pub pid: i32,
}

/// None yet, or processes that stand before their first own instruction, with all that they had. Dropping it ends them.
#[derive(Default)]
pub struct Ready {
    pub(crate) hosts: Vec<(Host, Shape)>,
    pub(crate) bound: Option<BoundFiles>,
    pub(crate) shm: Option<Made>,
}

impl Ready {
    /// The processes' pids, in the order of the image's: the root first.
    pub fn pids(&self) -> impl Iterator<Item = i32> {
        self.hosts.iter().map(|(host, _)| host.pid())
    }

    /// Lets them run, all at once.
    pub fn run(mut self) -> Thawed {
        if let Some(bound) = self.bound.take() {
            bound.keep();
        }
        if let Some(shm) = self.shm.take() {
            shm.keep();
        }
        let mut pid = 0;
        for (host, shape) in self.hosts.drain(..).rev() {
            shape.keep();
            pid = host.release();
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
