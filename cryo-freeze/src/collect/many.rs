//! Many things of one kind are looked at side by side: the process stands still meanwhile, and each is a handful of system calls.

use crate::Result;

/// Has `work` done on `items`, by one thread of ours for each `enough` of them and by as many as there are CPUs at most. The results are in the
/// order of the items.
pub fn side_by_side<T: Sync, R: Send>(
    items: &[T],
    enough: usize,
    work: impl Fn(&[T]) -> Result<Vec<R>> + Sync,
) -> Result<Vec<R>> {
    // How many CPUs there are is asked only where it matters: std reads through the cgroups for it.
    let threads = match items.len() / enough {
        0 | 1 => return work(items),
        wanted => std::thread::available_parallelism().map_or(1, usize::from).min(wanted),
    };
    std::thread::scope(|scope| {
        let work = &work;
        let parts = items.chunks(items.len().div_ceil(threads));
        let parts: Vec<_> = parts.map(|part| scope.spawn(move || work(part))).collect();
        let mut all = Vec::with_capacity(items.len());
        for part in parts {
            all.extend(part.join().unwrap_or_else(|_| super::refuse("a thread that looked at part of it failed"))?);
        }
        Ok(all)
    })
}
