//! Many things of one kind are looked at side by side: the process stands still meanwhile, and each is a handful of system calls.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::{Refusal, RefusalKind};
use crate::{Error, Result};

/// From this many threads on, /proc is read by several of our own threads: the process stands still meanwhile.
pub const THREADS: usize = 32;

/// Does both, the first in a thread of its own where there is `much` to do.
pub fn both<A: Send, B>(
    much: bool,
    first: impl FnOnce() -> Result<A> + Send,
    second: impl FnOnce() -> Result<B>,
) -> Result<(A, B)> {
    if !much {
        return Ok((first()?, second()?));
    }
    std::thread::scope(|scope| {
        let first = scope.spawn(first);
        let second = second();
        let first = first.join().map_err(|_| failed())?;
        Ok((first?, second?))
    })
}

/// Does `work` on each of `items`, on one thread of ours for each `per_thread` of them, at most one per CPU: whoever is done with one takes the next. The
/// results are in the order of the items; of several errors that of the first.
pub fn each<T: Sync, R: Send>(items: &[T], per_thread: usize, work: impl Fn(&T) -> Result<R> + Sync) -> Result<Vec<R>> {
    let Some(threads) = threads(items.len() / per_thread) else { return items.iter().map(work).collect() };
    let next = AtomicUsize::new(0);
    let take = || -> Vec<(usize, Result<R>)> {
        let mine = std::iter::from_fn(|| {
            let i = next.fetch_add(1, Ordering::Relaxed);
            Some((i, work(items.get(i)?)))
        });
        mine.collect()
    };
    let mut all = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(take)).collect();
        let mut all = take();
        for other in others {
            all.extend(other.join().map_err(|_| failed())?);
        }
        Ok::<_, Error>(all)
    })?;
    all.sort_unstable_by_key(|(i, _)| *i);
    all.into_iter().map(|(_, done)| done).collect()
}

/// How many of ours it takes, where so many are wanted; `None`: we do it ourselves. How many CPUs there are is asked only where it matters: std reads through the
/// cgroups for it.
fn threads(wanted: usize) -> Option<usize> {
    (wanted > 1).then(|| std::thread::available_parallelism().map_or(1, usize::from).min(wanted))
}

fn failed() -> Error {
    Refusal::new(RefusalKind::Internal, "a thread that looked at part of it failed").into()
}

/// Does `work` on parts of `items`, for work that is less on many at once, in several threads of ours: one for each `per_thread` items, at most one per CPU. The
/// results are in the order of the items.
pub fn side_by_side<T: Sync, R: Send>(
    items: &[T],
    per_thread: usize,
    work: impl Fn(&[T]) -> Result<Vec<R>> + Sync,
) -> Result<Vec<R>> {
    let Some(threads) = threads(items.len() / per_thread) else { return work(items) };
    std::thread::scope(|scope| {
        let work = &work;
        let parts = items.chunks(items.len().div_ceil(threads));
        let parts: Vec<_> = parts.map(|part| scope.spawn(move || work(part))).collect();
        let mut all = Vec::with_capacity(items.len());
        for part in parts {
            all.extend(part.join().map_err(|_| failed())??);
        }
        Ok(all)
    })
}
