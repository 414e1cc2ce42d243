//! The end of remote calls: the scratch mapping is taken away, and the thread is put back.

use super::{PAGE, Remote, SCRATCH, UnderWay, set_call};
use crate::Result;
use crate::fault::Undoing;
use crate::stopped::Stopped;
use crate::tracee::arch::code::Entry;

impl Remote<'_> {
    /// Takes the scratch mapping away, unless it is needed: the last remote call.
    pub(crate) fn leave(&mut self, needed: bool) -> Result<()> {
        let munmap = [self.scratch, SCRATCH, 0, 0, 0, 0];
        if self.thread.self_restoring().is_some() {
            self.send_to_unmap()?;
            return self.arrive();
        }
        if needed && !self.thread.ignores_traps() {
            return Ok(());
        }
        if !self.thread.ignores_traps() {
            // The step traps when the call is done, at an address that is mapped no more; nothing is executed there.
            return self
                .call(libc::SYS_munmap, munmap)
                .map(drop)
                .map_err(|e| e.during("taking away the scratch mapping"));
        }
        // The kernel forces a trap upon a process that ignores it by making it SIG_DFL; and so from here on there are no traps.
        let (trap, action) = (libc::SIGTRAP as u64, self.scratch + PAGE);
        self.call(libc::SYS_rt_sigaction, [trap, 0, action, 8, 0, 0])?;
        self.mem.fill(action, &(libc::SIG_IGN as u64).to_le_bytes())?;
        self.once(libc::SYS_rt_sigaction, [trap, action, 0, 8, 0, 0], Stopped::step_by_syscall)?;
        if needed {
            return Ok(());
        }
        self.once(libc::SYS_munmap, munmap, Stopped::step_by_syscall).map(drop)
    }

    /// No more of the scratch mapping behind this call, not even as the stack.
    fn send_to_unmap(&mut self) -> Result<()> {
        let mut regs = self.thread.regs()?;
        set_call(&mut regs, libc::SYS_munmap, [self.scratch, SCRATCH, 0, 0, 0, 0]);
        self.borrowed = true;
        self.go_to(Entry::Call, regs)?;
        self.under_way = Some(UnderWay::Calls);
        Ok(())
    }

    /// Begins what dropping this does: many threads take their scratch mappings away side by side. No call may be made any more.
    pub fn begin_leave(&mut self) {
        let _undoing = Undoing::begin();
        if self.thread.self_restoring().is_some() && self.scratch != 0 && !self.borrowed {
            // What fails here, dropping this meets again.
            let _ = self.send_to_unmap();
        }
    }

    /// Goes on with it: the thread will stand where it is put back.
    pub fn begin_return(&mut self) {
        let _undoing = Undoing::begin();
        if self.under_way.is_some() && self.borrowed {
            let _ = self.arrive();
            self.thread.begin_return(Some(self.mem));
        }
    }
}

impl Drop for Remote<'_> {
    fn drop(&mut self) {
        let _undoing = Undoing::begin();
        match self.under_way {
            Some(UnderWay::Mapping) => self.scratch = self.arrive_mapped().unwrap_or(0),
            Some(UnderWay::Calls) => drop(self.arrive()),
            None => {}
        }
        if self.scratch != 0 && !self.borrowed {
            let _ = self.leave(false);
        }
        let returned = self.thread.return_registers(Some(self.mem));
        // Cleared behind it; but where the thread is not out of it (it sleeps in a call, without an end), it needs the code to come back some day.
        if returned.is_err() {
            std::mem::forget(self.cave.take());
        }
    }
}
