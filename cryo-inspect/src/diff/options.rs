//! What of two images is compared, and how it is shown.

use cryo_format::section::process::Process;
use cryo_format::section::thread::Thread;

use crate::command::map::Filter;
use crate::ice::Ice;

/// What is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// Only processes that have one of these ids in either image; all if there is none.
    pub pids: &'a [u64],
    /// Only threads that have one of these ids in either image, and nothing else; all if there is none.
    pub tids: &'a [u64],
    /// Only these parts of memory, and nothing else.
    pub filter: Option<&'a Filter>,
    /// Say of what is the same that it is.
    pub unchanged: bool,
    /// Show the bytes that differ.
    pub bytes: bool,
    /// Lines of bytes that are shown of one segment.
    pub most: usize,
    /// Leave memory out.
    pub state_only: bool,
}

impl Options<'_> {
    /// What belongs to no process is left out where one is chosen.
    pub(super) fn of_all(&self) -> bool {
        self.pids.is_empty() && self.tids.is_empty() && self.filter.is_none()
    }

    /// An id that neither image has is a mistake, and not "no difference".
    pub(super) fn check(&self, a: &Ice, b: &Ice) -> anyhow::Result<()> {
        for pid in self.pids {
            let there = [a, b].iter().any(|ice| ice.all::<Process>().any(|(_, p)| p.pid == *pid));
            anyhow::ensure!(there, "--pid {pid}: there is no such process in either image");
        }
        for tid in self.tids {
            let there = [a, b].iter().any(|ice| ice.all::<Thread>().any(|(_, t)| t.tid == *tid));
            anyhow::ensure!(there, "--tid {tid}: there is no such thread in either image");
        }
        Ok(())
    }
}
