//! System calls made by a stopped thread on our behalf.
//!
//! One call alone: the registers are set for it, the instruction pointer is put on a `syscall` instruction that the process has anyway
//! (behind the call it sleeps in, or in its vDSO), and the thread takes one step. Many calls: a scratch mapping is made with such a single call,
//! a stub and a table are put there, and the thread runs them all between two stops.

mod each;

pub use each::run_each;

use super::arch;
use crate::fault::Undoing;
use crate::mem::Memory;
use crate::proc::Mapping;
use crate::stopped::Stopped;
use crate::{Error, Result, fault};
use std::io;

const PAGE: u64 = 4096;
/// Bytes for what the calls read and write; [`Remote::batch_for`] makes room for more.
const DATA: u64 = 64 << 10;
/// Calls between two stops; a batch of more is made in several rounds.
const CALLS: usize = 2048;
/// Bytes of a call in the stub's table: its number, six arguments, its result.
const ENTRY: usize = 64;
/// Each datum of a batch begins at a multiple of this.
const ALIGN: usize = 16;
/// Code page, data, table.
pub const SCRATCH: u64 = PAGE + DATA + (CALLS * ENTRY) as u64;

/// Makes system calls in a stopped thread. Dropping it removes its scratch mapping and puts the registers back.
pub struct Remote<'a> {
    thread: &'a mut Stopped,
    mem: &'a Memory,
    /// Address of a `syscall` instruction in the process.
    insn: u64,
    /// Base of the scratch mapping; 0 while there is none.
    scratch: u64,
    /// May the stub be executed there? (Not under PR_SET_MDWE and the like; then each call is made alone.)
    stub: bool,
    /// Does the scratch mapping belong to somebody else?
    borrowed: bool,
}

impl<'a> Remote<'a> {
    /// Borrows a thread of a process that goes on afterwards as if nothing had been.
    pub fn enter(thread: &'a mut Stopped, mem: &'a Memory, maps: &[Mapping]) -> Result<Self> {
        let insn = find_syscall(thread, mem, maps)?;
        thread.borrow_registers(mem)?;
        let mut remote = Self { thread, mem, insn, scratch: 0, stub: true, borrowed: false };
        let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as u64;
        let data = (libc::PROT_READ | libc::PROT_WRITE) as u64;
        let all = data | libc::PROT_EXEC as u64;
        remote.scratch = match remote.call(libc::SYS_mmap, [0, SCRATCH, all, flags, u64::MAX, 0]) {
            Err(e) if matches!(e.errno(), Some(libc::EACCES | libc::EPERM)) => {
                remote.stub = false;
                remote.call(libc::SYS_mmap, [0, SCRATCH, data, flags, u64::MAX, 0])?
            }
            other => other?,
        };
        if remote.stub {
            remote.mem.write(remote.scratch, arch::stub())?;
        }
        Ok(remote)
    }

    /// Borrows a thread whose process has a scratch mapping already: one of many threads, or a host.
    pub fn with_scratch(thread: &'a mut Stopped, mem: &'a Memory, scratch: Scratch) -> Result<Self> {
        thread.borrow_registers(mem)?;
        Ok(Self { thread, mem, insn: scratch.insn, scratch: scratch.base, stub: scratch.stub, borrowed: true })
    }

    /// The thread that is borrowed.
    pub(crate) fn thread(&mut self) -> &mut Stopped {
        self.thread
    }

    /// The scratch mapping, for others.
    pub fn scratch(&self) -> Scratch {
        Scratch { base: self.scratch, insn: self.insn, stub: self.stub }
    }

    /// One call; its error becomes ours.
    pub fn call(&mut self, number: i64, args: [u64; 6]) -> Result<u64> {
        let result = self.single(number, args)?;
        outcome(result).map_err(|e| Error::sys(describe(self.thread.pid(), number, &args), e))
    }

    fn single(&mut self, number: i64, args: [u64; 6]) -> Result<u64> {
        self.once(number, args, Stopped::step)
    }

    fn once(&mut self, number: i64, a: [u64; 6], go: impl Fn(&mut Stopped) -> Result<()>) -> Result<u64> {
        let mut regs = self.thread.regs()?;
        regs.rax = number as u64;
        (regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9) = (a[0], a[1], a[2], a[3], a[4], a[5]);
        regs.rip = self.insn;
        self.aside(&mut regs);
        self.thread.set_regs(&regs)?;
        go(self.thread)?;
        // A second look if the first fails: the call has been made, and what it made (a mapping, a process) must not be lost.
        let after = self.thread.regs().or_else(|_| self.thread.regs())?;
        Ok(after.rax)
    }

    /// What all remote calls have in common: no restart of the interrupted call, no trap flag, a stack pointer that is not on an alternate
    /// signal stack (sigaltstack(2) asks).
    fn aside(&self, regs: &mut crate::Regs) {
        regs.orig_rax = u64::MAX;
        regs.eflags &= !0x500; // TF, DF
        if self.scratch != 0 {
            regs.rsp = self.scratch + PAGE + DATA;
        }
    }

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
            let (prot, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
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
            let gone = self.call(libc::SYS_munmap, [batch.base, batch.room as u64, 0, 0, 0, 0]).map(drop);
            return made.and(gone).map(|()| Done { pid: self.thread.pid(), batch });
        }
        made.map(|()| Done { pid: self.thread.pid(), batch })
    }

    fn make(&mut self, batch: &mut Batch) -> Result<()> {
        if batch.calls.is_empty() {
            return Ok(());
        }
        if !batch.data.is_empty() {
            self.mem.fill(batch.base, &batch.data)?;
        }
        if self.stub {
            let at = self.scratch + PAGE + DATA;
            let mut table = batch.table();
            for round in table.chunks_mut(CALLS * ENTRY) {
                self.mem.fill(at, round)?;
                self.send_off(round.len() / ENTRY, batch.stop_at_error, at)?;
                self.thread.wait_trap(libc::PTRACE_CONT)?;
                self.mem.read(at, round)?;
                if batch.stop_at_error && results(round).any(|r| outcome(r).is_err()) {
                    break;
                }
            }
            batch.take_results(&table);
        } else {
            for i in 0..batch.calls.len() {
                let c = batch.calls[i];
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

    /// Sends the thread off to make the `calls` of the table at `table`. It will stand in a SIGTRAP when they are made.
    fn send_off(&mut self, calls: usize, stop_at_error: bool, table: u64) -> Result<()> {
        let mut regs = self.thread.regs()?;
        regs.rip = self.scratch;
        regs.r15 = table;
        regs.r14 = calls as u64;
        regs.r13 = u64::from(stop_at_error);
        self.aside(&mut regs);
        self.thread.set_regs(&regs)?;
        self.thread.go(libc::PTRACE_CONT)
    }
}

impl Remote<'_> {
    /// Takes the scratch mapping away: the last remote call.
    pub(crate) fn leave(&mut self) -> Result<()> {
        let munmap = [self.scratch, SCRATCH, 0, 0, 0, 0];
        if !self.thread.ignores_traps() {
            // The step traps when the call is done, at an address that is mapped no more; nothing is executed there.
            return self.call(libc::SYS_munmap, munmap).map(drop);
        }
        // The kernel forces a trap upon a process that ignores it by making it SIG_DFL; and so from here on there are no traps.
        let (trap, action) = (libc::SIGTRAP as u64, self.scratch + PAGE);
        self.call(libc::SYS_rt_sigaction, [trap, 0, action, 8, 0, 0])?;
        self.mem.fill(action, &(libc::SIG_IGN as u64).to_le_bytes())?;
        self.once(libc::SYS_rt_sigaction, [trap, action, 0, 8, 0, 0], Stopped::step_by_syscall)?;
        self.once(libc::SYS_munmap, munmap, Stopped::step_by_syscall).map(drop)
    }
}

impl Drop for Remote<'_> {
    fn drop(&mut self) {
        let _undoing = Undoing::begin();
        if self.scratch != 0 && !self.borrowed {
            let _ = self.leave();
        }
        let _ = self.thread.return_registers(Some(self.mem));
    }
}

/// Where remote calls find their stub and table.
#[derive(Clone, Copy, Debug)]
pub struct Scratch {
    /// Base address.
    pub base: u64,
    /// A `syscall` instruction.
    pub insn: u64,
    /// Is the stub executable?
    pub stub: bool,
}

/// Calls to be made, and the bytes that they read and write.
///
/// Nothing of it is in the process before it is run: what is put into it beyond its room is found there, and refused as a whole.
pub struct Batch {
    /// Where its data will be.
    base: u64,
    /// Bytes that may be there.
    room: usize,
    /// Is that a mapping of its own?
    own: bool,
    data: Vec<u8>,
    calls: Vec<[u64; 8]>,
    stop_at_error: bool,
}

/// Bytes in the process that a batch reads or writes.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    /// Its address in the process.
    pub addr: u64,
    offset: usize,
    len: usize,
}

impl Batch {
    /// Ends at the first call that fails; the result of later ones is 0.
    #[must_use]
    pub fn stop_at_error(mut self) -> Self {
        self.stop_at_error = true;
        self
    }

    /// Makes all calls, whatever the result of each.
    #[must_use]
    pub fn continue_at_error(mut self) -> Self {
        self.stop_at_error = false;
        self
    }

    /// Puts bytes at the calls' disposal.
    pub fn put(&mut self, bytes: &[u8]) -> Slot {
        self.data.resize(self.data.len().next_multiple_of(ALIGN), 0);
        let offset = self.data.len();
        self.data.extend_from_slice(bytes);
        Slot { addr: self.base + offset as u64, offset, len: bytes.len() }
    }

    /// Room for `len` bytes of an answer.
    pub fn space(&mut self, len: usize) -> Slot {
        self.put(&vec![0; len])
    }

    /// Is its data no more than there is room for?
    fn fits(&self, pid: i32) -> Result<()> {
        if self.data.len() <= self.room {
            return Ok(());
        }
        let what = format!("{} bytes for remote calls where there is room for {}", self.data.len(), self.room);
        Err(Error::NoRoom { pid, what })
    }

    /// The calls as the stub wants them.
    fn table(&self) -> Vec<u8> {
        self.calls.iter().flatten().flat_map(|w| w.to_le_bytes()).collect()
    }

    fn take_results(&mut self, table: &[u8]) {
        for (call, result) in self.calls.iter_mut().zip(results(table)) {
            call[7] = result;
        }
    }

    /// Adds a call and returns its place in the batch.
    pub fn call(&mut self, number: i64, args: &[u64]) -> usize {
        let mut call = [0; 8];
        call[0] = number as u64;
        call[1..=args.len()].copy_from_slice(args);
        self.calls.push(call);
        self.calls.len() - 1
    }

    /// Is there room for one more datum of `bytes`? (Of calls there may be any number.)
    pub fn has_room(&self, bytes: usize) -> bool {
        self.data.len().next_multiple_of(ALIGN).saturating_add(bytes) <= self.room
    }

    /// Has it no calls?
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }
}

/// A batch that was run.
pub struct Done {
    pid: i32,
    batch: Batch,
}

impl Done {
    /// The result of call `i`.
    pub fn result(&self, i: usize) -> Result<u64> {
        let c = &self.batch.calls[i];
        let args = [c[1], c[2], c[3], c[4], c[5], c[6]];
        fault::point().and_then(|()| outcome(c[7])).map_err(|e| Error::sys(describe(self.pid, c[0] as i64, &args), e))
    }

    /// The first error, if any call failed.
    pub fn all(&self) -> Result<()> {
        (0..self.batch.calls.len()).try_for_each(|i| self.result(i).map(drop))
    }

    /// The bytes of a slot after the calls.
    pub fn bytes(&self, slot: Slot) -> &[u8] {
        &self.batch.data[slot.offset..slot.offset + slot.len]
    }

    /// A little-endian word of a slot.
    pub fn word(&self, slot: Slot, index: usize) -> u64 {
        let b = &self.bytes(slot)[index * 8..index * 8 + 8];
        u64::from_le_bytes(b.try_into().unwrap_or_default())
    }
}

/// The results that stand in a table.
fn results(table: &[u8]) -> impl Iterator<Item = u64> + '_ {
    table.chunks_exact(ENTRY).map(|entry| u64::from_le_bytes(entry[56..].try_into().unwrap_or_default()))
}

fn outcome(result: u64) -> io::Result<u64> {
    if result > u64::MAX - 4095 { Err(io::Error::from_raw_os_error(result.wrapping_neg() as i32)) } else { Ok(result) }
}

fn describe(pid: i32, number: i64, args: &[u64; 6]) -> String {
    let args: Vec<String> = args.iter().map(|a| format!("{a:#x}")).collect();
    let name = syscall_name(number).map_or_else(|| format!("system call {number}"), str::to_owned);
    format!("{name}({}) inside process {pid}", args.join(", "))
}

/// Names of the calls that we make inside others.
fn syscall_name(number: i64) -> Option<&'static str> {
    macro_rules! names { ($($name:ident),*) => { [$((libc::$name, &stringify!($name)[4..])),*] } }
    let table = names![
        SYS_mmap,
        SYS_munmap,
        SYS_mprotect,
        SYS_mremap,
        SYS_madvise,
        SYS_mlock2,
        SYS_brk,
        SYS_prctl,
        SYS_rt_sigaction,
        SYS_sigaltstack,
        SYS_set_tid_address,
        SYS_set_robust_list,
        SYS_rseq,
        SYS_chdir,
        SYS_umask,
        SYS_openat,
        SYS_lseek,
        SYS_dup3,
        SYS_close,
        SYS_fcntl,
        SYS_personality,
        SYS_setitimer,
        SYS_getitimer,
        SYS_timer_create,
        SYS_timer_settime,
        SYS_timer_gettime,
        SYS_prlimit64,
        SYS_mlockall,
        SYS_clone,
        SYS_clone3,
        SYS_arch_prctl,
        SYS_rt_tgsigqueueinfo,
        SYS_rt_sigqueueinfo,
        SYS_close_range,
        SYS_wait4,
        SYS_sched_setattr,
        SYS_shmat,
        SYS_memfd_create,
        SYS_seccomp,
        SYS_capset,
        SYS_setresuid,
        SYS_setresgid,
        SYS_setgroups,
        SYS_fchdir,
        SYS_exit
    ];
    table.iter().find(|(n, _)| *n == number).map(|(_, name)| *name)
}

/// Finds a `syscall` instruction: behind the call that the thread sleeps in, in the vDSO, in any code.
fn find_syscall(thread: &Stopped, mem: &Memory, maps: &[Mapping]) -> Result<u64> {
    let rip = thread.regs()?.rip;
    let mut two = [0; 2];
    if mem.read(rip.wrapping_sub(2), &mut two).is_ok() && two == arch::SYSCALL {
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
            if let Some(i) = buf.windows(2).position(|w| w == arch::SYSCALL) {
                return Ok(at + i as u64);
            }
            at += buf.len() as u64;
        }
    }
    Err(Error::NoRoom { pid: thread.pid(), what: "no `syscall` instruction in any of its code".into() })
}

#[cfg(test)]
mod tests {
    use super::{ALIGN, DATA, Remote, Scratch};

    #[test]
    fn what_has_no_room_is_refused() {
        let scratch = Scratch { base: 0x10000, insn: 0, stub: true };
        let mut batch = Remote::batch_at(scratch);
        batch.put(&[0; DATA as usize - ALIGN]);
        assert!(batch.has_room(ALIGN) && !batch.has_room(ALIGN + 1) && !batch.has_room(usize::MAX));
        batch.put(&[0; ALIGN]);
        assert!(batch.fits(1).is_ok());
        batch.put(&[0]);
        assert!(batch.fits(1).is_err());
    }
}
