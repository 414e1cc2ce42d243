//! System calls made by a stopped thread on our behalf.
//!
//! In a program that goes on afterwards: the thread executes code of ours in a cave (`remote/cave.rs`) that makes the calls of a table, between two stops, and that
//! puts everything back if we are killed meanwhile (`arch::code`). A scratch mapping, made by the first call, holds table and data.
//!
//! In a host, and in a program without a cave: the registers are set for one call, the instruction pointer is put on a `syscall` instruction
//! that the process has anyway, and the thread takes one step. With the scratch mapping comes a stub that makes the calls of a table.

mod aio;
mod batch;
mod cave;
mod each;
mod leave;
mod run;
mod uffd;

use super::arch::code::{self, Entry};
use super::arch::{Arch, x86_64};
use crate::mem::Memory;
use crate::proc::{Mapping, Status};
use crate::stopped::{HarmlessSignals, Stopped};
use crate::{Error, Result};
pub use batch::{Batch, Done, Slot};
use batch::{ENTRY, describe, outcome};
use cave::Cave;
pub use run::Running;

const PAGE: u64 = 4096;
/// Bytes for what the calls read and write; [`Remote::batch_for`] makes room for more.
const DATA: u64 = 64 << 10;
/// Calls between two stops; a batch of more is made in several rounds.
const CALLS: usize = 2048;
/// Code page, data, table.
pub const SCRATCH: u64 = PAGE + DATA + (CALLS * ENTRY) as u64;

/// Makes system calls in a stopped thread. Dropping it removes its scratch mapping and puts the registers back.
pub struct Remote<'a> {
    thread: &'a mut Stopped,
    mem: &'a Memory,
    /// The process's.
    arch: Arch,
    /// Address of a `syscall` instruction in the process.
    insn: u64,
    /// Base of the scratch mapping; 0 while there is none.
    scratch: u64,
    /// May code be executed there? (Not under PR_SET_MDWE and the like.)
    stub: bool,
    /// Does the scratch mapping belong to somebody else?
    borrowed: bool,
    /// Where the thread executes code of ours that puts it back.
    cave: Option<Cave<'a>>,
    /// Are other threads executing in the scratch mapping? Then this one may not take it away.
    shared: bool,
    /// What the thread was sent off to do and has not been waited for, by its own code.
    under_way: Option<UnderWay>,
    status: Option<Status>,
}

/// What a thread is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum UnderWay {
    /// It makes the scratch mapping.
    Mapping,
    /// It makes calls.
    Calls,
}

impl<'a> Remote<'a> {
    /// Borrows a thread of a process that goes on afterwards as if nothing had been. `rips` is where its threads stand.
    pub fn enter(thread: &'a mut Stopped, arch: Arch, mem: &'a Memory, maps: &[Mapping], rips: &[u64]) -> Result<Self> {
        let status = Status::of(thread.tid())?;
        let mut remote = Self::begin(thread, arch, mem, maps, rips, status)?;
        remote.entered()?;
        Ok(remote)
    }

    /// The first half: the thread, which has this status, is on its way. Many processes are sent off before the first is waited for ([`Remote::entered`]),
    /// without which nothing else may be asked of it; no two of them may have one memory.
    pub fn begin(
        thread: &'a mut Stopped,
        arch: Arch,
        mem: &'a Memory,
        maps: &[Mapping],
        rips: &[u64],
        status: Status,
    ) -> Result<Self> {
        let cave = Cave::find(mem, arch, maps, rips);
        let slot = cave.as_ref().and_then(|cave| Some((cave.slot(0)?, cave.room())));
        let insn = match slot {
            Some((slot, _)) => slot + Entry::Call.offset(),
            None => find_syscall(thread, mem, maps)?,
        };
        let mut remote = Self {
            thread,
            mem,
            arch,
            insn,
            scratch: 0,
            stub: true,
            borrowed: false,
            cave,
            shared: false,
            under_way: None,
            status: Some(status),
        };
        match slot {
            Some(slot) => {
                remote.enter_slot(slot)?;
                let args = remote.mapping(libc::PROT_EXEC);
                remote.begin_map(args)?;
            }
            None => remote.thread.borrow_registers(mem)?,
        }
        Ok(remote)
    }

    /// The second half: the thread has its scratch mapping.
    pub fn entered(&mut self) -> Result<()> {
        let made = match self.under_way {
            Some(_) => self.arrive_mapped(),
            None => self.map(self.mapping(libc::PROT_EXEC)),
        };
        self.scratch = match made {
            Err(e) if matches!(e.errno(), Some(libc::EACCES | libc::EPERM)) => {
                self.stub = false;
                self.map(self.mapping(0))?
            }
            other => other?,
        };
        if self.stub && self.cave.is_none() {
            self.mem.write(self.scratch, code::stub())?;
        }
        Ok(())
    }

    /// Arguments of mmap(2) for the scratch mapping.
    fn mapping(&self, executable: i32) -> [u64; 6] {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | self.arch.anywhere();
        let prot = libc::PROT_READ | libc::PROT_WRITE | executable;
        [0, SCRATCH, prot as u64, flags as u64, u64::MAX, 0]
    }

    /// Borrows a thread whose process has a scratch mapping already: a host, or one of many threads of a process without a cave.
    pub fn with_scratch(thread: &'a mut Stopped, mem: &'a Memory, scratch: Scratch) -> Result<Self> {
        thread.borrow_registers(mem)?;
        Ok(Self::lent(thread, mem, scratch))
    }

    fn lent(thread: &'a mut Stopped, mem: &'a Memory, scratch: Scratch) -> Self {
        let Scratch { arch, base, insn, stub } = scratch;
        Self {
            thread,
            mem,
            arch,
            insn,
            scratch: base,
            stub,
            borrowed: true,
            cave: None,
            shared: false,
            under_way: None,
            status: None,
        }
    }

    /// Puts the code for this thread into a slot of the cave, and the thread into it.
    fn enter_slot(&mut self, (slot, room): (u64, usize)) -> Result<()> {
        let status = self.status.as_ref().ok_or(Error::Died(self.thread.pid()))?;
        let code = self.thread.self_restoring_code(self.mem, ids(status), HarmlessSignals::of(status), SCRATCH)?;
        if code.len() > room {
            let what = "system calls that are dispatched to a 32-bit program itself (PR_SET_SYSCALL_USER_DISPATCH)";
            return Err(Error::NoRoom { pid: self.thread.pid(), what: what.into() });
        }
        self.mem.write(slot, &code)?;
        self.thread.enter_self_restoring(slot)
    }

    /// The call that makes the scratch mapping. Killed behind it, the thread takes it away.
    fn map(&mut self, args: [u64; 6]) -> Result<u64> {
        if self.cave.is_none() {
            return self.call(libc::SYS_mmap, args);
        }
        self.begin_map(args)?;
        self.arrive_mapped()
    }

    fn begin_map(&mut self, args: [u64; 6]) -> Result<()> {
        self.send(Entry::Map, libc::SYS_mmap, args)?;
        self.under_way = Some(UnderWay::Mapping);
        Ok(())
    }

    fn arrive_mapped(&mut self) -> Result<u64> {
        self.arrive()?;
        // A second look if the first fails: what the call made must not be lost.
        let result = self.thread.regs().or_else(|_| self.thread.regs())?.r13;
        outcome(result).map_err(|e| Error::sys(describe(self.thread.pid(), libc::SYS_mmap), e))
    }

    /// Waits for a thread that is under way.
    fn arrive(&mut self) -> Result<()> {
        self.under_way = None;
        self.thread.wait_event()
    }

    /// The thread that is borrowed.
    pub(crate) fn thread(&mut self) -> &mut Stopped {
        self.thread
    }

    /// The scratch mapping, for others.
    pub fn scratch(&self) -> Scratch {
        Scratch { arch: self.arch, base: self.scratch, insn: self.insn, stub: self.stub }
    }

    /// One call; its error becomes ours.
    pub fn call(&mut self, number: i64, args: [u64; 6]) -> Result<u64> {
        let result = self.single(number, args)?;
        outcome(result).map_err(|e| Error::sys(describe(self.thread.pid(), number), e))
    }

    fn single(&mut self, number: i64, args: [u64; 6]) -> Result<u64> {
        if self.thread.self_restoring().is_some() {
            return Ok(self.from(Entry::Call, number, args)?.r14);
        }
        self.once(number, args, Stopped::step)
    }

    /// Goes through the thread's own code from `entry` to the event, with the registers of a system call.
    fn from(&mut self, entry: Entry, number: i64, args: [u64; 6]) -> Result<crate::Regs> {
        self.send(entry, number, args)?;
        self.thread.wait_event()?;
        self.thread.regs().or_else(|_| self.thread.regs())
    }

    fn send(&mut self, entry: Entry, number: i64, args: [u64; 6]) -> Result<()> {
        let mut regs = self.thread.regs()?;
        set_call(&mut regs, number, args);
        self.aside(&mut regs);
        self.go_to(entry, regs)
    }

    /// Sends the thread off through its own code; says nothing of where it will be.
    fn go_to(&mut self, entry: Entry, mut regs: crate::Regs) -> Result<()> {
        let code = self.thread.self_restoring().ok_or(Error::Died(self.thread.pid()))?;
        regs.rip = code + entry.offset();
        regs.r12 = code + self.afterwards().offset();
        self.thread.set_regs(&regs)?;
        self.thread.go(self.thread.request())
    }

    /// How the thread goes on if we are killed.
    fn afterwards(&self) -> Entry {
        if self.borrowed || self.shared { Entry::Restore } else { Entry::Unmap }
    }

    fn once(&mut self, number: i64, args: [u64; 6], go: impl Fn(&mut Stopped) -> Result<()>) -> Result<u64> {
        let mut regs = self.thread.regs()?;
        set_call(&mut regs, number, args);
        regs.rip = self.insn;
        self.aside(&mut regs);
        self.thread.set_regs(&regs)?;
        go(self.thread)?;
        // A second look if the first fails: the call has been made, and what it made (a mapping, a process) must not be lost.
        let after = self.thread.regs().or_else(|_| self.thread.regs())?;
        Ok(after.rax)
    }

    /// What all remote calls have in common: 64-bit code, no restart of the interrupted call, no trap flag, a stack pointer that is not on an alternate
    /// signal stack (sigaltstack(2) asks).
    fn aside(&self, regs: &mut crate::Regs) {
        regs.orig_rax = u64::MAX;
        regs.cs = x86_64::CS;
        regs.eflags &= !0x500; // TF, DF
        if self.scratch != 0 {
            regs.rsp = self.scratch + PAGE + DATA;
        }
    }
}

impl Remote<'_> {
    /// Sends the thread off to copy its process; returns the id of the process in between, for which it now waits. `None`: there is none, and the
    /// thread stands again.
    pub(crate) fn begin_copy(&mut self) -> Result<Option<i32>> {
        let mut regs = self.thread.regs()?;
        self.aside(&mut regs);
        self.go_to(Entry::Copy, regs)?;
        self.thread.wait_child()
    }

    /// The error of the clone that failed.
    pub(crate) fn copy_error(&self) -> Error {
        let result = self.thread.regs().map(|regs| regs.r14);
        match result.map(outcome) {
            Ok(Err(e)) => Error::sys(format!("copying process {}", self.thread.pid()), e),
            Ok(Ok(_)) => Error::Died(self.thread.pid()),
            Err(e) => e,
        }
    }

    /// Takes our code out of a copy of the process.
    pub(crate) fn clear_cave_of(&self, mem: &Memory) {
        if let Some(cave) = &self.cave {
            cave.clear(mem);
        }
    }
}

/// The ids of a thread and its process as they see them themselves.
fn ids(status: &Status) -> (i32, i32) {
    let id = |key| status.inner(key).unwrap_or(0) as i32;
    (id("NStgid"), id("NSpid"))
}

/// Registers for a system call.
fn set_call(regs: &mut crate::Regs, number: i64, a: [u64; 6]) {
    regs.rax = number as u64;
    (regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9) = (a[0], a[1], a[2], a[3], a[4], a[5]);
}

/// Where remote calls find their stub and table.
#[derive(Clone, Copy, Debug)]
pub struct Scratch {
    /// The process's machine.
    pub arch: Arch,
    /// Base address.
    pub base: u64,
    /// A `syscall` instruction.
    pub insn: u64,
    /// Is the stub executable?
    pub stub: bool,
}

/// Finds a `syscall` instruction: behind the call that the thread sleeps in, in the vDSO, in any code.
fn find_syscall(thread: &Stopped, mem: &Memory, maps: &[Mapping]) -> Result<u64> {
    let rip = thread.regs()?.rip;
    let mut two = [0; 2];
    if mem.read(rip.wrapping_sub(2), &mut two).is_ok() && two == code::SYSCALL {
        return Ok(rip - 2);
    }
    let executable = |m: &&Mapping| m.prot & libc::PROT_EXEC as u32 != 0 && m.path != b"[vsyscall]";
    let mut code: Vec<&Mapping> = maps.iter().filter(executable).collect();
    code.sort_by_key(|m| m.path != b"[vdso]");
    for m in code {
        let mut at = m.start;
        while at < m.end {
            let mut buf = vec![0; (m.end - at).min(1 << 16) as usize];
            if mem.read(at, &mut buf).is_err() {
                break;
            }
            if let Some(i) = buf.windows(2).position(|w| w == code::SYSCALL) {
                return Ok(at + i as u64);
            }
            at += buf.len() as u64;
        }
    }
    Err(Error::NoRoom { pid: thread.pid(), what: "no `syscall` instruction in any of its code".into() })
}
