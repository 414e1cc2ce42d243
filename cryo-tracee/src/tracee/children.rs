//! Hosts that are children of hosts: how a family of processes is made.
//!
//! A child is made by its parent's own fork(2), because nobody else can give a process a parent. It begins as a copy of the host that made it, scratch
//! mapping, descriptors and all, and becomes another program by an execve(2) of its own.

use std::ffi::CStr;

use super::arch::x86_64;
use super::host::{CloneArgs, Host, until_zombie};
use super::owned::Owned;
use crate::mem::Memory;
use crate::remote::Scratch;
use crate::stopped::AWAY;
use crate::sys::{self, Wait};
use crate::{Error, Result, signals};

impl Host {
    /// Makes a child, a copy of this host that stands still; with this pid if one is asked for. Its parent gets `exit_signal` when it ends; `common` are
    /// flags of clone(2) for what it does not get a copy of.
    pub fn fork(&mut self, pid: Option<i32>, exit_signal: i32, common: u64) -> Result<Self> {
        self.child(pid, CloneArgs { flags: common, exit_signal: exit_signal as u64, ..CloneArgs::default() })
    }

    /// What `work` does in a child that has this host's descriptors in common with it (what the child opens, the host has), and that ends behind it;
    /// with this pid if one is asked for.
    pub fn aside<T, E: From<Error>>(
        &mut self,
        pid: Option<i32>,
        work: impl FnOnce(&mut Self) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let flags = libc::CLONE_FILES as u64;
        let mut child = self.child(pid, CloneArgs { flags, ..CloneArgs::default() })?;
        let own = child.call(libc::SYS_getpid, [0; 6])?;
        let done = work(&mut child)?;
        child.end_as(0)?;
        // It has no exit signal, and so is not a usual child.
        self.call(libc::SYS_wait4, [own, 0, libc::__WALL as u64, 0, 0, 0])?;
        Ok(done)
    }

    fn child(&mut self, pid: Option<i32>, args: CloneArgs) -> Result<Self> {
        let scratch = self.scratch()?;
        let born = self.clone3(0, pid, args)?;
        let mut child = Owned::born(born)?;
        child.thread()?.make_host()?;
        let memory = Memory::open(born)?;
        let threads = child.take().into_iter().collect();
        Ok(Self { pid: born, threads, memory, scratch: Some(scratch), arch: self.arch, acting: 0 })
    }

    /// clone3(2), as a call of its own: the child starts behind a `syscall` of the scratch mapping and not in the middle of the stub. Thread
    /// `maker` calls it. Returns its id as we see it, which is not that in its own pid namespace. It is ours by the options that its parent was seized with.
    pub(super) fn clone3(&mut self, maker: usize, id: Option<i32>, args: CloneArgs) -> Result<i32> {
        let mut batch = self.batch()?;
        let set_tid = batch.put(&id.unwrap_or(0).to_le_bytes());
        let args = CloneArgs {
            set_tid: if id.is_some() { set_tid.addr } else { 0 },
            set_tid_size: u64::from(id.is_some()),
            ..args
        };
        let at = batch.put(&args.words().map(u64::to_le_bytes).concat());
        // The arguments are written by a call that does nothing.
        batch.call_nothing();
        self.run(batch)?.all()?;
        let args = [at.addr, size_of::<CloneArgs>() as u64, 0, 0, 0, 0];
        self.remote_at(maker)?.call(libc::SYS_clone3, args)?;
        let pid = self.pid;
        self.thread_at(maker)?.take_child().ok_or(Error::Died(pid))
    }

    /// Executes the program under its descriptor `fd` with these arguments and no environment, and stands before that program's first instruction, as
    /// behind [`Host::start`].
    pub fn exec(&mut self, fd: u64, arguments: &[&CStr]) -> Result<()> {
        let mut batch = self.batch()?;
        let empty = batch.put(b"\0");
        let list = arguments.iter().map(|argument| batch.put(argument.to_bytes_with_nul()).addr).collect::<Vec<_>>();
        let list = list.into_iter().chain([0]).flat_map(u64::to_le_bytes).collect::<Vec<u8>>();
        let arguments = batch.put(&list);
        let environment = batch.put(&0_u64.to_le_bytes());
        batch.call_nothing();
        self.run(batch)?.all()?;
        let flags = libc::AT_EMPTY_PATH as u64;
        self.call(libc::SYS_execveat, [fd, empty.addr, arguments.addr, environment.addr, flags, 0])?;
        self.scratch = None;
        self.memory = Memory::open(self.pid)?;
        // From a stop in which registers hold.
        let thread = self.thread()?;
        thread.stand()?;
        thread.make_host()?;
        self.look_at_arch()
    }

    /// Ends it with what wait(2) calls `status`. Its parent finds a zombie. It must have made no threads.
    pub fn end_as(mut self, status: u32) -> Result<()> {
        let pid = self.pid;
        let mut thread = self.threads.pop().ok_or(Error::Died(pid))?;
        let (code, signal) = (status >> 8 & 0xff, status as i32 & 0x7f);
        let prepared = self.scratch().and_then(|Scratch { insn, .. }| {
            let mut regs = thread.regs()?;
            (regs.rax, regs.rdi, regs.rip, regs.orig_rax) = (libc::SYS_exit_group as u64, code.into(), insn, u64::MAX);
            regs.cs = x86_64::CS;
            thread.set_regs(&regs)?;
            if signal != 0 {
                // It dies of the signal, and leaves no core file behind.
                crate::limits::set(pid, libc::RLIMIT_CORE, (0, 0))?;
                thread.set_sigmask(AWAY & !(1 << (signal - 1)))?;
                signals::kill(pid, signal)?;
            }
            Ok(())
        });
        if let Err(e) = prepared {
            self.threads.push(thread);
            return Err(e);
        }
        drop(thread);
        if signal == libc::SIGKILL {
            // It has ended before it could be let go: it is its parent's when its tracer has been told.
            while !matches!(sys::wait(pid), Ok(Wait::Ended(_)) | Err(_)) {}
            return Ok(());
        }
        until_zombie(pid)
    }

    /// Takes the SIGCHLD that children of it have caused, which the program knows already.
    pub fn forget_children(&mut self) -> Result<()> {
        let mut batch = self.batch()?.continue_at_error();
        let set = batch.put(&(1_u64 << (libc::SIGCHLD - 1)).to_le_bytes());
        let none = batch.space(16);
        batch.call(libc::SYS_rt_sigtimedwait, &[set.addr, 0, none.addr, 8]);
        self.run(batch)?;
        Ok(())
    }
}

/// Is it a stop of a parent behind the making of a child?
pub(crate) fn is_birth(stop: Wait) -> bool {
    matches!(stop, Wait::Event(libc::PTRACE_EVENT_CLONE | libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK, _))
}
