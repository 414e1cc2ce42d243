//! A process that stands still: all of its threads are seized.

use std::collections::HashSet;
use std::ops::Range;
use std::time::{Duration, Instant};

use crate::interrupted::{self, Blocked};
use crate::mem::Memory;
use crate::proc;
use crate::stopped::{Seized, Stopped};
use crate::sys::{self, Wait};
use crate::tracee::rseq;
use crate::{Arch, Error, Regs, Result};

/// A process of which every thread stands still.
pub struct Process {
    pid: i32,
    /// Its machine.
    pub arch: Arch,
    /// Its memory.
    pub memory: Memory,
    /// Its threads; the first is the main thread, unless that has exited.
    pub threads: Vec<Stopped>,
    /// What they were sleeping in.
    pub blocked: Blocked,
    /// When the first of them was told to stop.
    pub since: Instant,
}

/// A process whose threads have been told to stop. Dropping it lets them go on.
pub(super) struct Seizing {
    pid: i32,
    arch: Arch,
    vdso: Range<u64>,
    threads: Vec<Stopped>,
    /// Told, and not waited for.
    told: Vec<Seized>,
    /// What they were sleeping in, and when they were told.
    found: Option<(Blocked, Instant)>,
    main_exited: bool,
}

impl Seizing {
    /// Tells every thread of `pid` to stop.
    pub(super) fn begin(pid: i32) -> Result<Self> {
        let (vdso, arch) = (proc::vdso(pid), Arch::of_process(pid));
        let (threads, told) = (Vec::new(), Vec::new());
        let mut seizing = Self { pid, arch, vdso, threads, told, found: None, main_exited: false };
        seizing.tell()?;
        Ok(seizing)
    }

    /// Tells those that are not known yet. Are there any?
    fn tell(&mut self) -> Result<bool> {
        let pid = self.pid;
        let known: HashSet<i32> = self.threads.iter().map(Stopped::tid).collect();
        let fresh: Vec<i32> = proc::tasks(pid)?.into_iter().filter(|tid| !known.contains(tid)).collect();
        // All of them are seized before the first is interrupted: it does not stand still while the others are.
        for tid in fresh {
            match Seized::new(pid, tid) {
                Ok(s) => self.told.push(s),
                Err(e) if e.errno() == Some(libc::ESRCH) => {}
                Err(e)
                    if e.errno() == Some(libc::EPERM) && proc::state(tid).is_none_or(|s| s.starts_with(['Z', 'X'])) =>
                {
                    if tid == pid && !self.main_exited {
                        self.main_exited = exited_alone(pid)?;
                    }
                }
                Err(e) => return Err(e),
            }
        }
        if self.told.is_empty() {
            return Ok(false);
        }
        if self.found.is_none() {
            self.found = Some((Blocked::look(pid, self.arch), Instant::now()));
        }
        for s in &self.told {
            match s.interrupt() {
                Err(e) if e.errno() != Some(libc::ESRCH) => return Err(e),
                _ => {}
            }
        }
        Ok(true)
    }

    /// Waits until all of them stand. New ones that are born meanwhile are stopped, too; ones that end meanwhile are forgotten.
    pub(super) fn finish(mut self) -> Result<Process> {
        let pid = self.pid;
        loop {
            for s in self.told.drain(..) {
                match s.finish() {
                    Ok(t) => self.threads.push(t),
                    Err(Error::Died(tid)) if tid == pid => self.main_exited = exited_alone(pid)?,
                    Err(Error::Died(_)) => {}
                    Err(e) => return Err(e),
                }
            }
            // One that runs on may start others: they are looked for once more.
            if !self.tell()? && !let_out(&mut self.threads, &self.vdso)? {
                break;
            }
        }
        let Self { arch, mut threads, found, .. } = self;
        let (Some((blocked, since)), false) = (found, threads.is_empty()) else {
            return Err(Error::Died(pid));
        };
        threads[0].look_at_traps()?;
        let memory = Memory::open(threads[0].tid())?;
        // At once: whatever fails later, the threads are let go with their calls intact.
        for t in &mut threads {
            interrupted::mend(t, &memory, &blocked)?;
            rseq::abort(t, &memory)?;
        }
        Ok(Process { pid, arch, memory, threads, blocked, since })
    }
}

impl Process {
    /// Stops every thread of `pid`.
    pub fn seize(pid: i32) -> Result<Self> {
        Seizing::begin(pid)?.finish()
    }

    /// Process id.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// The thread by which /proc, kcmp(2) and the like know the process: a main thread that has exited has no memory and no files any more.
    pub fn live_tid(&self) -> i32 {
        self.threads[0].tid()
    }

    /// The main thread.
    pub fn main(&mut self) -> &mut Stopped {
        &mut self.threads[0]
    }

    /// Waits until it is gone, which somebody has killed.
    pub fn see_off(mut self) {
        // The end of the main thread is told only when the others' have been taken.
        for t in self.threads.drain(..).rev() {
            while !matches!(sys::wait(t.tid()), Ok(Wait::Ended(_)) | Err(_)) {}
            std::mem::forget(t); // nothing is left to be let go
        }
    }
}

/// Lets threads that stand in the vDSO run on until they are out of it; false if there are none. Its functions are short, and some part of any loop
/// that calls them is outside. Not by steps: a thread that is let go in the trap behind a step, because we were killed, dies of it.
fn let_out(threads: &mut [Stopped], vdso: &Range<u64>) -> Result<bool> {
    const TRIES: u64 = 500;
    let mut any = false;
    for thread in threads {
        for i in 0..TRIES {
            if !in_vdso(&thread.regs()?, vdso) {
                break;
            }
            any = true;
            thread.run_on(Duration::from_micros(10 + i))?;
        }
    }
    Ok(any)
}

/// Does it execute code of the vDSO that it must not be stopped in? A 32-bit thread makes its system calls there, too, and one that waits in one does not
/// leave it, and need not: all that it does there afterwards is to return.
pub fn in_vdso(regs: &Regs, vdso: &Range<u64>) -> bool {
    let calls = Arch::of_code(regs) == Some(Arch::I386) && Arch::I386.call(regs).is_some();
    vdso.contains(&regs.rip) && !calls
}

/// The main thread of `pid` is a zombie. True if it has exited alone; an error if all others have, too.
fn exited_alone(pid: i32) -> Result<bool> {
    if others_run(pid) { Ok(true) } else { Err(Error::Died(pid)) }
}

/// Are there threads of `pid`, whose main thread has exited, that are not about to end with it?
fn others_run(pid: i32) -> bool {
    // Between the SIGKILL that ends a group and the mark of a thread that exits lie a few instructions: looked at again, it has passed them.
    (0..3).all(|look| {
        std::thread::sleep(Duration::from_millis(5 * look));
        proc::tasks(pid).is_ok_and(|tids| tids.into_iter().any(|tid| tid != pid && !ends(tid)))
    })
}

fn ends(tid: i32) -> bool {
    /// Flags of a task (include/linux/sched.h).
    const PF_EXITING: i64 = 4;
    let (Ok(status), Ok(stat)) = (proc::Status::of(tid), proc::Stat::of(tid)) else { return true };
    status.hex("SigPnd") >> (libc::SIGKILL - 1) & 1 != 0 || stat.field(9).is_ok_and(|flags| flags & PF_EXITING != 0)
}
