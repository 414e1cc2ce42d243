//! Many calls between two stops.

use super::batch::{Batch, Done, ENTRY, outcome, results};
use super::{CALLS, DATA, PAGE, Remote, Scratch, UnderWay};
use crate::fault::Undoing;
use crate::tracee::arch::code::{self, Entry};
use crate::{Error, Result};

/// Calls that a thread was sent off to make, or will be sent for when they are asked for.
pub struct Running {
    batch: Batch,
    sent: bool,
}

impl Remote<'_> {
    /// An empty batch.
    pub fn batch(&self) -> Batch {
        Self::batch_at(self.scratch())
    }

    /// An empty batch for whoever will enter with this scratch mapping.
    pub fn batch_at(scratch: Scratch) -> Batch {
        Batch {
            base: scratch.base + PAGE,
            room: DATA as usize,
            own: false,
            data: Vec::new(),
            calls: Vec::new(),
            stop_at_error: false,
        }
    }

    /// An empty batch with room for `bytes`: more than fits into the scratch mapping gets a mapping of its own, which [`Remote::run`] takes away.
    pub fn batch_for(&mut self, bytes: usize) -> Result<Batch> {
        let mut batch = self.batch();
        if bytes > batch.room {
            let prot = libc::PROT_READ | libc::PROT_WRITE;
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | self.arch.anywhere();
            let room = bytes.next_multiple_of(PAGE as usize);
            let base = self.call(libc::SYS_mmap, [0, room as u64, prot as u64, flags as u64, u64::MAX, 0])?;
            (batch.base, batch.room, batch.own) = (base, room, true);
        }
        Ok(batch)
    }

    /// Makes all calls of `batch`, in as many rounds as they need. A batch with more data than it has room for is an error, and no call is made.
    pub fn run(&mut self, mut batch: Batch) -> Result<Done> {
        let made = batch.fits(self.thread.pid()).and_then(|()| self.make(&mut batch));
        if batch.own {
            let _undoing = Undoing::begin();
            let gone = self.call(libc::SYS_munmap, [batch.base, batch.room as u64, 0, 0, 0, 0]);
            let gone = gone.map(drop).map_err(|e| e.during("taking away the room for large arguments"));
            return made.and(gone).map(|()| Done { pid: self.thread.pid(), batch });
        }
        made.map(|()| Done { pid: self.thread.pid(), batch })
    }

    /// Sends the thread off to make all calls of `batch`, if that can be done in one round: many processes make theirs side by side.
    pub fn begin_run(&mut self, batch: Batch) -> Result<Running> {
        let sent = self.thread.self_restoring().is_some() && !batch.own && (1..=CALLS).contains(&batch.calls.len());
        if sent {
            batch.fits(self.thread.pid())?;
            if !batch.data.is_empty() {
                self.mem.fill(batch.base, &batch.data)?;
            }
            let at = self.scratch + PAGE + DATA;
            self.mem.fill(at, &batch.table())?;
            self.send_off(batch.calls.len(), batch.stop_at_error, at)?;
            self.under_way = Some(UnderWay::Calls);
        }
        Ok(Running { batch, sent })
    }

    /// Waits for them, and for nothing where they could not be begun: then they are made now.
    pub fn finish_run(&mut self, running: Running) -> Result<Done> {
        let Running { mut batch, sent } = running;
        if !sent {
            return self.run(batch);
        }
        self.arrive()?;
        let mut table = vec![0; batch.calls.len() * ENTRY];
        self.mem.read(self.scratch + PAGE + DATA, &mut table)?;
        batch.take_results(&table);
        if !batch.data.is_empty() {
            self.mem.read(batch.base, &mut batch.data)?;
        }
        Ok(Done { pid: self.thread.pid(), batch })
    }

    fn make(&mut self, batch: &mut Batch) -> Result<()> {
        if batch.calls.is_empty() {
            return Ok(());
        }
        if !batch.data.is_empty() {
            self.mem.fill(batch.base, &batch.data)?;
        }
        if self.stub || self.thread.self_restoring().is_some() {
            let at = self.scratch + PAGE + DATA;
            let mut table = batch.table();
            for round in table.chunks_mut(CALLS * ENTRY) {
                self.mem.fill(at, round)?;
                self.send_off(round.len() / ENTRY, batch.stop_at_error, at)?;
                self.thread.wait_event()?;
                self.mem.read(at, round)?;
                if batch.stop_at_error && results(round).any(|r| outcome(r).is_err()) {
                    break;
                }
            }
            batch.take_results(&table);
        } else {
            for i in 0..batch.calls.len() {
                let c = batch.calls[i];
                if c[0] & code::I386_CALL != 0 {
                    let what = "code of ours, which it has forbidden, for calls of i386".into();
                    return Err(Error::NoRoom { pid: self.thread.pid(), what });
                }
                let r = self.single(c[0] as i64, [c[1], c[2], c[3], c[4], c[5], c[6]])?;
                batch.calls[i][7] = r;
                if batch.stop_at_error && outcome(r).is_err() {
                    break;
                }
            }
        }
        if !batch.data.is_empty() {
            self.mem.read(batch.base, &mut batch.data)?;
        }
        Ok(())
    }

    /// Sends the thread off to make the `calls` of the table at `table`. It will stand in its event when they are made.
    pub(super) fn send_off(&mut self, calls: usize, stop_at_error: bool, table: u64) -> Result<()> {
        let mut regs = self.thread.regs()?;
        regs.rip = self.scratch;
        regs.r15 = table;
        regs.r14 = calls as u64;
        regs.rbx = u64::from(stop_at_error);
        self.aside(&mut regs);
        if self.thread.self_restoring().is_some() {
            return self.go_to(Entry::Table, regs);
        }
        self.thread.set_regs(&regs)?;
        self.thread.go(crate::sys::Request::Cont)
    }
}
