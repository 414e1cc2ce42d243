//! What is to be known of descriptors before anything else is looked at: the masters of pseudo-terminals, and what watches files. One look at each link.

use cryo_tracee::proc::FdDirs;
use cryo_tracee::{Family, fds, proc};

use super::fd::PER_THREAD;
use super::parallel;
use crate::Result;

/// That of processes that stand still.
pub struct Glance {
    masters: Vec<Place>,
    /// inotify and fanotify groups.
    pub watches: Vec<Place>,
}

/// A process, and the number of a descriptor of its.
pub type Place = (i32, i32);

impl Glance {
    /// At the descriptors of all.
    pub fn at(family: &Family) -> Result<Self> {
        let mut glance = Self { masters: Vec::new(), watches: Vec::new() };
        for process in &family.members {
            let pid = process.live_tid();
            let dirs = FdDirs::open(pid)?;
            let which = |fd: i32| {
                let link = dirs.link(fd).ok()?;
                let watches = link == b"anon_inode:inotify" || link == b"anon_inode:[fanotify]";
                (watches || link.ends_with(b"/ptmx")).then_some((watches, (pid, fd)))
            };
            let found = parallel::side_by_side(&proc::descriptors(pid)?, PER_THREAD, |some| {
                Ok(some.iter().copied().filter_map(which).collect::<Vec<_>>())
            })?;
            for (watches, place) in found {
                if watches { glance.watches.push(place) } else { glance.masters.push(place) }
            }
        }
        Ok(glance)
    }

    /// Is there a pseudo-terminal of which something is still to be read?
    pub fn unread(&self) -> Result<bool> {
        for (pid, fd) in &self.masters {
            let master = fds::take(&fds::pidfd(*pid)?, *fd)?;
            if rustix::io::ioctl_fionread(master).is_ok_and(|waiting| waiting > 0) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
