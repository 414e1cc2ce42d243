//! Which descriptors are of one open file description: kcmp(2) orders these, so that sorting finds equal ones without comparing each with each.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::os::unix::fs::MetadataExt;

use cryo_tracee::{fds, proc};

use super::fd::{self, Fd};
use super::parallel;
use crate::Result;

/// From so many descriptors on their order is looked for before the processes stand still: ten thousand take 150,000 comparisons.
const MANY: u64 = 2048;

/// The order of descriptions while the processes still ran, by process and number. What was closed and opened since stands in a wrong place; it is only
/// where sorting begins. What is in order already is sorted by comparing neighbours.
#[derive(Default)]
pub struct Before(HashMap<(i32, i32), usize>);

impl Before {
    /// Of these processes, if they have many descriptors; and where the kernel says how many there are (Linux 6.2).
    pub fn look(pids: &[i32]) -> Self {
        let count = |pid: &i32| std::fs::metadata(format!("/proc/{pid}/fd")).map_or(0, |meta| meta.size());
        if pids.iter().map(count).sum::<u64>() < MANY {
            return Self::default();
        }
        let of = |pid: i32| proc::descriptors(pid).unwrap_or_default().into_iter().map(move |fd| (pid, fd));
        let all: Vec<(i32, i32)> = pids.iter().copied().flat_map(of).collect();
        // It may have been closed.
        let order = |a: &(i32, i32), b: &(i32, i32)| fds::compare(*a, *b).unwrap_or(Ordering::Equal);
        let sorted = |part: &[(i32, i32)]| {
            let mut part = part.to_vec();
            part.sort_by(order);
            Ok(part)
        };
        let parts = parallel::side_by_side(&all, fd::PER_THREAD, sorted).and_then(|parts| sorted(&parts));
        Self(parts.unwrap_or_default().into_iter().enumerate().map(|(place, fd)| (fd, place)).collect())
    }

    fn place(&self, tids: &[i32], f: &Fd) -> usize {
        if self.0.is_empty() { 0 } else { self.0.get(&(tids[f.holder], f.fd)).copied().unwrap_or(usize::MAX) }
    }
}

/// Groups descriptors by their open file description, each group and the groups themselves by holder and number. Each part is sorted by a thread of
/// ours, and the whole from these.
pub fn group<'f>(tids: &[i32], fds: &'f [Fd], before: &Before) -> Result<Vec<Vec<&'f Fd>>> {
    let mut sorted: Vec<(&Fd, _)> = fds.iter().map(|f| (f, f.looks())).collect();
    sorted.sort_by_key(|(f, looks)| (*looks, before.place(tids, f), f.holder, f.fd));
    let mut groups: Vec<Vec<&Fd>> = Vec::new();
    for alike in sorted.chunk_by(|a, b| a.1 == b.1) {
        let alike: Vec<&Fd> = alike.iter().map(|(f, _)| *f).collect();
        let parts = parallel::side_by_side(&alike, fd::PER_THREAD, |part| {
            by_description(tids, part.to_vec()).map(|(part, _)| part)
        })?;
        let (whole, same) = by_description(tids, parts)?;
        groups.extend(whole.chunk_by(|a, b| same.contains(&pair(a, b))).map(<[&Fd]>::to_vec));
    }
    groups.sort_by_key(|g| (g[0].holder, g[0].fd));
    Ok(groups)
}

/// A descriptor by its holder and its number.
type Place = (usize, i32);

/// Pairs of descriptors, the lower first, that are of one description.
type Same = HashSet<(Place, Place)>;

fn pair(a: &Fd, b: &Fd) -> (Place, Place) {
    let (a, b) = ((a.holder, a.fd), (b.holder, b.fd));
    (a.min(b), a.max(b))
}

/// Sorts by description, then holder and number; and says which neighbours are of one description: to sort them it must have compared them.
fn by_description<'f>(tids: &[i32], mut fds: Vec<&'f Fd>) -> Result<(Vec<&'f Fd>, Same)> {
    let (mut error, mut same) = (None, HashSet::new());
    fds.sort_by(|a, b| {
        let order = fds::compare((tids[a.holder], a.fd), (tids[b.holder], b.fd)).unwrap_or_else(|e| {
            error.get_or_insert(e);
            Ordering::Equal
        });
        if order.is_eq() {
            same.insert(pair(a, b));
        }
        order.then((a.holder, a.fd).cmp(&(b.holder, b.fd)))
    });
    error.map_or(Ok((fds, same)), |e| Err(e.into()))
}
