//! Work in pieces over all processors, its results one after another in the order of the pieces: what comes of it is the same whatever the machine.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread::{available_parallelism, scope};

/// Threads at most: beyond them memory is what one waits for.
const MOST: usize = 8;

/// Calls `work` for each piece, on as many threads as there are processors, each with a state of its own, and `take` with the results. The first error
/// ends it.
pub fn in_order<P: Sync, S, R: Send>(
    pieces: &[P],
    state: impl Fn() -> anyhow::Result<S> + Sync,
    work: impl Fn(&mut S, &P) -> anyhow::Result<R> + Sync,
    mut take: impl FnMut(&P, R) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let threads = available_parallelism().map_or(1, usize::from).min(MOST).min(pieces.len());
    if threads <= 1 {
        let mut state = state()?;
        return pieces.iter().try_for_each(|piece| take(piece, work(&mut state, piece)?));
    }
    let (next, ended) = (AtomicUsize::new(0), AtomicBool::new(false));
    // Results wait for one that is late; no more of them than this, since who is ahead waits, too.
    let (send, receive) = sync_channel(threads);
    scope(|scope| {
        for _ in 0..threads {
            let (send, state, work, next, ended) = (send.clone(), &state, &work, &next, &ended);
            scope.spawn(move || {
                let mut own = None;
                while !ended.load(Ordering::Relaxed) {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    let Some(piece) = pieces.get(i) else { break };
                    let done = own.take().map_or_else(state, Ok).and_then(|mut s| {
                        let result = work(&mut s, piece);
                        own = Some(s);
                        result
                    });
                    if send.send((i, done)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(send);
        let mut early = BTreeMap::new();
        let mut expected = 0;
        let result = receive.iter().try_for_each(|(i, done)| {
            early.insert(i, done);
            while let Some(done) = early.remove(&expected) {
                take(&pieces[expected], done?)?;
                expected += 1;
            }
            Ok(())
        });
        ended.store(true, Ordering::Relaxed);
        drop(receive);
        result
    })
}

#[cfg(test)]
mod tests {
    use super::in_order;

    #[test]
    fn results_come_in_order_and_an_error_ends_it() {
        let pieces: Vec<u64> = (0..1000).collect();
        let mut seen = Vec::new();
        let square = |calls: &mut u64, n: &u64| {
            *calls += 1;
            Ok(n * n)
        };
        in_order(
            &pieces,
            || Ok(0),
            square,
            |n, r| {
                seen.push((*n, r));
                Ok(())
            },
        )
        .unwrap();
        assert_eq!(seen, pieces.iter().map(|n| (*n, n * n)).collect::<Vec<_>>());
        let fails = |(): &mut (), n: &u64| if *n == 500 { anyhow::bail!("five hundred") } else { Ok(*n) };
        let mut last = 0;
        let failed = in_order(
            &pieces,
            || Ok(()),
            fails,
            |n, _| {
                last = *n;
                Ok(())
            },
        );
        assert_eq!(failed.unwrap_err().to_string(), "five hundred");
        assert_eq!(last, 499);
    }
}
