//! Remote calls in many threads at once.

use super::{Batch, CALLS, DATA, Done, ENTRY, PAGE, Remote, SCRATCH, Scratch, ids};
use crate::proc::Status;
use crate::stopped::{HarmlessSignals, Stopped};
use crate::tracee::arch::code::CODE_ROOM;
use crate::{Error, Memory, Result};

/// Bytes of the scratch mapping for one thread: its table, its data, its own code.
const PART: usize = CODE + CODE_ROOM;
const TABLE: usize = 24 * ENTRY;
const CODE: usize = TABLE + 512;
/// Threads that go at once.
const PARTS: usize = (DATA as usize + CALLS * ENTRY) / PART;

impl Remote<'_> {
    /// Has each of the other threads answer its own copy of the questions that `ask` puts into a batch. The batch must be small: 24 calls,
    /// 512 bytes; a larger one is an error.
    ///
    /// The threads run side by side, and what they need goes in and out in one piece: a thousand of them would stand still for half as long
    /// again if each was sent and waited for alone.
    pub fn run_each<Q>(&mut self, threads: &mut [Stopped], ask: impl Fn(&mut Batch) -> Q) -> Result<Vec<(Q, Done)>> {
        let (mem, scratch) = (self.mem, self.scratch());
        let mut all = Vec::with_capacity(threads.len());
        for group in threads.chunks_mut(PARTS) {
            let asked = (0..group.len() as u64).map(|i| {
                let mut batch = Self::part(scratch, i);
                let questions = ask(&mut batch);
                (questions, batch)
            });
            let (questions, mut batches): (Vec<Q>, Vec<Batch>) = asked.unzip();
            let pids: Vec<i32> = group.iter().map(Stopped::pid).collect();
            if scratch.stub {
                self.share(true)?;
                let together = self.together(group, &mut batches, |_| Ok(()));
                self.share(false)?;
                together?;
                let done = pids.into_iter().zip(batches).map(|(pid, batch)| Done { pid, batch });
                all.extend(questions.into_iter().zip(done));
            } else {
                let slot = self.cave.as_ref().and_then(|cave| Some((cave.slot(1)?, cave.room())));
                for ((thread, batch), q) in group.iter_mut().zip(batches).zip(questions) {
                    let mut remote = match slot {
                        Some(slot) => {
                            let status = Status::of(thread.tid())?;
                            let mut remote = Remote::lent(thread, mem, scratch);
                            remote.status = Some(status);
                            remote.enter_slot(slot)?;
                            remote
                        }
                        None => Remote::with_scratch(thread, mem, scratch)?,
                    };
                    all.push((q, remote.run(batch)?));
                }
            }
        }
        Ok(all)
    }

    /// While other threads execute in the scratch mapping, this one leaves it where it is if we are killed.
    fn share(&mut self, shared: bool) -> Result<()> {
        self.shared = shared;
        let Some(code) = self.thread.self_restoring() else { return Ok(()) };
        let mut regs = self.thread.regs()?;
        regs.r12 = code + self.afterwards().offset();
        self.thread.set_regs(&regs)
    }

    /// Has each of the other threads make the calls that `ask` puts into its batch, and `work` done meanwhile, which is to let them come back.
    pub(super) fn while_they_wait(
        &mut self,
        threads: &mut [Stopped],
        ask: impl Fn(&mut Batch),
        work: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        if threads.len() > PARTS {
            let what = format!("{} threads are more than can be made to wait at once", threads.len());
            return Err(Error::NoRoom { pid: self.thread.pid(), what });
        }
        let scratch = self.scratch();
        let mut batches: Vec<Batch> = (0..threads.len() as u64)
            .map(|i| {
                let mut batch = Self::part(scratch, i);
                ask(&mut batch);
                batch
            })
            .collect();
        self.share(true)?;
        let together = self.together(threads, &mut batches, work);
        self.share(false)?;
        together
    }

    /// An empty batch in the part of the scratch mapping for the thread at this place.
    fn part(scratch: Scratch, i: u64) -> Batch {
        let mut batch = Self::batch_at(scratch);
        batch.base += i * PART as u64 + TABLE as u64;
        batch.room = CODE - TABLE;
        batch
    }

    /// Sends them all off, does `work`, and waits for them.
    fn together(
        &mut self,
        group: &mut [Stopped],
        batches: &mut [Batch],
        work: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        let (mem, scratch) = (self.mem, self.scratch());
        let base = scratch.base + PAGE;
        let mut bytes = vec![0; group.len() * PART];
        for ((part, batch), thread) in bytes.chunks_exact_mut(PART).zip(&*batches).zip(&mut *group) {
            let table = batch.table();
            batch.fits(thread.pid())?;
            if table.len() > TABLE {
                let what = format!("{} remote calls for each of many threads", batch.calls.len());
                return Err(Error::NoRoom { pid: thread.pid(), what });
            }
            part[..table.len()].copy_from_slice(&table);
            part[TABLE..TABLE + batch.data.len()].copy_from_slice(&batch.data);
            if self.cave.is_some() {
                let code = self.code_for(thread, mem)?;
                part[CODE..CODE + code.len()].copy_from_slice(&code);
            }
        }
        mem.fill(base, &bytes)?;
        let mut remotes = Vec::with_capacity(group.len());
        let mut sent = Ok(());
        for ((thread, batch), i) in group.iter_mut().zip(&*batches).zip(0..) {
            let part = base + i * PART as u64;
            // A host's like would be borrowed only here; one with code of its own only has to go there.
            let mut remote = if self.cave.is_some() {
                Remote::lent(thread, mem, scratch)
            } else {
                match Remote::with_scratch(thread, mem, scratch) {
                    Ok(remote) => remote,
                    Err(e) => {
                        sent = Err(e);
                        break;
                    }
                }
            };
            if self.cave.is_some() {
                sent = remote.thread.enter_self_restoring(part + CODE as u64);
            }
            match sent.and_then(|()| remote.send_off(batch.calls.len(), batch.stop_at_error, part)) {
                Ok(()) => remotes.push(remote),
                Err(e) => {
                    sent = Err(e);
                    break;
                }
            }
            sent = Ok(());
        }
        // Those that are under way are waited for in any case: only from a stop can they be put back.
        let mut came = sent.and_then(|()| work(self));
        for remote in &mut remotes {
            let here = remote.thread.wait_event();
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

    fn code_for(&self, thread: &mut Stopped, mem: &Memory) -> Result<Vec<u8>> {
        let status = self.status.as_ref().ok_or(Error::Died(thread.pid()))?;
        let (tgid, main) = ids(status);
        let outside = main == self.thread.tid();
        let tid = if outside { thread.tid() } else { ids(&Status::of(thread.tid())?).1 };
        thread.self_restoring_code(mem, (tgid, tid), HarmlessSignals::of(status), SCRATCH)
    }
}
