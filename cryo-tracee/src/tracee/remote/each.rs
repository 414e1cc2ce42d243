//! Remote calls in many threads at once.

use super::{Batch, CALLS, DATA, Done, ENTRY, PAGE, Remote, Scratch};
use crate::stopped::Stopped;
use crate::{Error, Memory, Result};

/// Bytes of the scratch mapping for one thread: its table, then its data.
const PART: usize = 1 << 10;
const TABLE: usize = PART / 2;
/// Threads that go at once.
const PARTS: usize = (DATA as usize + CALLS * ENTRY) / PART;

/// Has each thread answer its own copy of the questions that `ask` puts into a batch. The batch must be small: eight calls, 512 bytes; a larger one is an error.
///
/// The threads run side by side, and what they need goes in and out in one piece: a thousand of them would stand still for half as long
/// again if each was sent and waited for alone.
pub fn run_each<Q>(
    threads: &mut [Stopped],
    mem: &Memory,
    scratch: Scratch,
    ask: impl Fn(&mut Batch) -> Q,
) -> Result<Vec<(Q, Done)>> {
    let mut all = Vec::with_capacity(threads.len());
    for group in threads.chunks_mut(PARTS) {
        let asked = (0..group.len() as u64).map(|i| {
            let mut batch = Remote::batch_at(scratch);
            batch.base += i * PART as u64 + TABLE as u64;
            batch.room = PART - TABLE;
            let questions = ask(&mut batch);
            (questions, batch)
        });
        let (questions, mut batches): (Vec<Q>, Vec<Batch>) = asked.unzip();
        let pids: Vec<i32> = group.iter().map(Stopped::pid).collect();
        if scratch.stub {
            together(group, mem, scratch, &mut batches)?;
            let done = pids.into_iter().zip(batches).map(|(pid, batch)| Done { pid, batch });
            all.extend(questions.into_iter().zip(done));
        } else {
            for ((thread, batch), q) in group.iter_mut().zip(batches).zip(questions) {
                all.push((q, Remote::with_scratch(thread, mem, scratch)?.run(batch)?));
            }
        }
    }
    Ok(all)
}

fn together(group: &mut [Stopped], mem: &Memory, scratch: Scratch, batches: &mut [Batch]) -> Result<()> {
    let pid = group.first().map_or(0, Stopped::pid);
    let base = scratch.base + PAGE;
    let mut bytes = vec![0; group.len() * PART];
    for (part, batch) in bytes.chunks_exact_mut(PART).zip(&*batches) {
        let table = batch.table();
        batch.fits(pid)?;
        if table.len() > TABLE {
            return Err(Error::NoRoom {
                pid,
                what: format!("{} remote calls for each of many threads", batch.calls.len()),
            });
        }
        part[..table.len()].copy_from_slice(&table);
        part[TABLE..TABLE + batch.data.len()].copy_from_slice(&batch.data);
    }
    mem.fill(base, &bytes)?;
    let mut remotes = Vec::with_capacity(group.len());
    let mut sent = Ok(());
    for ((thread, batch), i) in group.iter_mut().zip(&*batches).zip(0..) {
        let went = Remote::with_scratch(thread, mem, scratch).and_then(|mut remote| {
            remote.send_off(batch.calls.len(), batch.stop_at_error, base + i * PART as u64)?;
            Ok(remote)
        });
        match went {
            Ok(remote) => remotes.push(remote),
            Err(e) => {
                sent = Err(e);
                break;
            }
        }
    }
    // Those that are under way are waited for in any case: only from a stop can they be put back.
    let mut came = sent;
    for remote in &mut remotes {
        let here = remote.thread.wait_trap(libc::PTRACE_CONT);
        came = came.and(here);
    }
    came.and_then(|()| mem.read(base, &mut bytes))?;
    for remote in &mut remotes {
        remote.thread.begin_return(Some(mem));
    }
    drop(remotes);
    for (part, batch) in bytes.chunks_exact(PART).zip(batches) {
        batch.take_results(part);
        let data = TABLE..TABLE + batch.data.len();
        batch.data.copy_from_slice(&part[data]);
    }
    Ok(())
}
