//! The host: a fresh process that stops before its first instruction and waits to be possessed.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::ptr;
use std::time::{Duration, Instant};

use rustix::pipe::{PipeFlags, pipe_with};

use super::arch::code;
use super::arch::{i386, x86_64};
use crate::error::{Context, refuse};
use crate::mem::Memory;
use crate::proc;
use crate::remote::{Batch, Done, Remote, SCRATCH, Scratch};
use crate::stopped::Stopped;
use crate::sys::{self, Fault, Request, Wait};
use crate::{Arch, Error, RefusalKind, Result, limits, signals};

/// What a host is traced with: it dies with us, and so do its children and threads, which are ours from their birth.
pub(super) const OPTIONS: i32 = libc::PTRACE_O_EXITKILL
    | libc::PTRACE_O_TRACEEXEC
    | libc::PTRACE_O_TRACESYSGOOD
    | libc::PTRACE_O_TRACECLONE
    | libc::PTRACE_O_TRACEFORK
    // One that is to be watched makes calls of ours under its filter, too: they would fail with ENOSYS.
    | libc::PTRACE_O_TRACESECCOMP;

const PTRACE_EVENT_EXEC: i32 = 4;
const PAGE: u64 = 4096;

/// What a host is started from and as.
pub struct Start<'a> {
    /// The executable: a path, or a memfd.
    pub program: Program<'a>,
    /// The pid it shall have; needs CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN.
    pub pid: Option<i32>,
    /// A session of its own?
    pub new_session: bool,
    /// Is its parent to be ours, and not we, who trace it?
    pub sibling: bool,
    /// Descriptors that stay open in the host, by their own numbers: all others close at exec.
    pub keep: &'a [RawFd],
    /// personality(2) that it shall start with (it decides about address-space layout).
    pub personality: u64,
}

/// An executable.
pub enum Program<'a> {
    /// By path: the host then has the right /proc/PID/exe.
    Path(&'a CStr),
    /// By descriptor.
    Fd(&'a OwnedFd),
}

/// A process of ours that stands before its first instruction, or is being filled. Dropping it ends it.
pub struct Host {
    pub(super) pid: i32,
    /// The main thread first. Empty when it has been released.
    pub(super) threads: Vec<Stopped>,
    pub(super) memory: Memory,
    pub(super) scratch: Option<Scratch>,
    /// That of the program that it executes.
    pub(super) arch: Arch,
    /// The place of the thread that makes remote calls where none is named.
    pub(super) acting: usize,
}

impl Host {
    /// Starts a host and stops it behind its exec.
    pub fn start(start: &Start<'_>) -> Result<Self> {
        let pipe = || pipe_with(PipeFlags::CLOEXEC).about(|| "making a pipe".into());
        let ((gate_out, gate_in), (ready_out, ready_in)) = (pipe()?, pipe()?);
        let pid = spawn(start, &gate_out, &gate_in, &ready_in)?;
        drop((gate_out, ready_in));
        let mut unseized = Unseized { pid, done: false };
        // Whether it lives will be seen.
        let _ = rustix::io::retry_on_intr(|| rustix::io::read(&ready_out, &mut [0]));
        sys::ptrace(Request::Seize, pid, 0, OPTIONS as usize, Fault::Counted)?;
        rustix::io::write(&gate_in, b"g").about(|| "releasing the host".into())?;
        match sys::wait(pid)? {
            Wait::Event(PTRACE_EVENT_EXEC, _) => {}
            Wait::Ended(status) => {
                unseized.done = true;
                let errno = libc::WEXITSTATUS(status);
                return Err(Error::sys("starting the host", io::Error::from_raw_os_error(errno)));
            }
            other => return refuse(RefusalKind::Internal, format!("the host stopped unexpectedly: {other:?}")),
        }
        // The exec is still on its way out of the kernel, which will write its result into rax: go on to a stop where registers hold.
        sys::ptrace(Request::Interrupt, pid, 0, 0, Fault::Counted)?;
        sys::ptrace(Request::Cont, pid, 0, 0, Fault::Counted)?;
        let mut thread = Stopped::new(pid, pid);
        let settled = thread.settle();
        let memory = Memory::open(pid);
        unseized.done = true;
        let arch = Arch::X86_64;
        let mut host = Self { pid, threads: vec![thread], memory: memory?, scratch: None, arch, acting: 0 };
        settled?;
        host.look_at_arch()?;
        host.thread()?.make_host()?;
        Ok(host)
    }

    /// Process id.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Its machine.
    pub fn arch(&self) -> Arch {
        self.arch
    }

    /// Behind an exec it executes code of its program.
    pub(super) fn look_at_arch(&mut self) -> Result<()> {
        let pid = self.pid;
        self.arch = Arch::of_code(&self.thread()?.regs()?).ok_or(Error::Died(pid))?;
        Ok(())
    }

    /// Its memory.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Its main thread.
    pub fn thread(&mut self) -> Result<&mut Stopped> {
        self.thread_at(0)
    }

    /// A thread by its place in the order of their making.
    pub fn thread_at(&mut self, i: usize) -> Result<&mut Stopped> {
        self.threads.get_mut(i).ok_or(Error::Died(self.pid))
    }

    /// Its threads in the order of their making.
    pub fn threads(&self) -> &[Stopped] {
        &self.threads
    }

    /// Has thread `maker` make one more thread, stopped before its first instruction; with this id if one is asked for.
    pub fn spawn_thread(&mut self, maker: usize, tid: Option<i32>) -> Result<()> {
        let flags = libc::CLONE_VM
            | libc::CLONE_FS
            | libc::CLONE_FILES
            | libc::CLONE_SIGHAND
            | libc::CLONE_THREAD
            | libc::CLONE_SYSVSEM;
        let born = self.clone3(maker, tid, CloneArgs { flags: flags as u64, ..CloneArgs::default() })?;
        // Among the host's threads before anything can fail: those are ended, while one that is dropped is let go, and would run into
        // the program's code without a stack.
        self.threads.push(Stopped::new(self.pid, born));
        let last = self.threads.len() - 1;
        let thread = self.thread_at(last)?;
        thread.settle()?;
        thread.make_host()
    }

    /// Puts the scratch mapping at `base`, where nothing is and nothing of the image will be, and clears all else but the kernel's own
    /// mappings, of which it returns the list.
    pub fn clear(&mut self, base: u64) -> Result<Vec<proc::Mapping>> {
        let maps = proc::mappings(self.pid)?;
        let pid = self.pid;
        let thread = self.threads.first_mut().ok_or(Error::Died(pid))?;
        let entry = thread.regs()?.rip;
        self.memory.write(entry, &code::SYSCALL)?;
        let arch = self.arch;
        let first = Scratch { arch, base: 0, insn: entry, stub: false };
        let mut remote = Remote::with_scratch(thread, &self.memory, first)?;
        let rwx = (libc::PROT_READ | libc::PROT_WRITE) as u64;
        let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE) as u64;
        let got = remote.call(libc::SYS_mmap, [base, SCRATCH, rwx, flags, u64::MAX, 0])?;
        if got != base {
            return Err(Error::NoRoom { pid, what: format!("the scratch mapping went to {got:#x}, not {base:#x}") });
        }
        self.memory.write(base, code::stub())?;
        let rx = (libc::PROT_READ | libc::PROT_EXEC) as u64;
        remote.call(libc::SYS_mprotect, [base, PAGE, rx, 0, 0, 0])?;
        drop(remote);
        self.scratch = Some(Scratch { arch, base, insn: base + code::in_stub(code::SYSCALL), stub: true });
        let (special, others): (Vec<_>, Vec<_>) = maps.into_iter().partition(is_special);
        let mut batch = self.batch()?;
        for m in others {
            batch.call(libc::SYS_munmap, &[m.start, m.end - m.start]);
        }
        self.run(batch)?.all().map_err(|e| e.during("making room for the program's memory"))?;
        Ok(special)
    }

    pub(super) fn scratch(&self) -> Result<Scratch> {
        self.scratch.ok_or_else(|| Error::NoRoom { pid: self.pid, what: "the host has no scratch mapping yet".into() })
    }

    /// Has `work` done in thread `i`: its remote calls are made there, and [`Host::tid`] is that thread's.
    pub fn in_thread<T>(&mut self, i: usize, work: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.acting, i);
        let done = work(self);
        self.acting = before;
        done
    }

    /// The id of the thread that makes remote calls where none is named.
    pub fn tid(&self) -> i32 {
        self.threads.get(self.acting).map_or(self.pid, Stopped::tid)
    }

    /// Makes remote calls in the main thread, or in the one of [`Host::in_thread`].
    pub fn remote(&mut self) -> Result<Remote<'_>> {
        self.remote_at(self.acting)
    }

    /// Makes remote calls in thread `i`.
    pub fn remote_at(&mut self, i: usize) -> Result<Remote<'_>> {
        let scratch = self.scratch()?;
        let pid = self.pid;
        Remote::with_scratch(self.threads.get_mut(i).ok_or(Error::Died(pid))?, &self.memory, scratch)
    }

    /// An empty batch for [`Host::run`].
    pub fn batch(&self) -> Result<Batch> {
        Ok(Remote::batch_at(self.scratch()?).stop_at_error())
    }

    /// An empty batch with room for `bytes`; see [`Remote::batch_for`].
    pub fn batch_for(&mut self, bytes: usize) -> Result<Batch> {
        Ok(self.remote()?.batch_for(bytes)?.stop_at_error())
    }

    /// Makes all calls of the batch; see [`Done::all`] for their errors.
    pub fn run(&mut self, batch: Batch) -> Result<Done> {
        self.remote()?.run(batch)
    }

    /// One call.
    pub fn call(&mut self, number: i64, args: [u64; 6]) -> Result<u64> {
        self.remote()?.call(number, args)
    }

    /// Begins a call that sleeps, by its number and in the way of the host's machine, in thread `i`, and interrupts it at once; returns what the kernel left
    /// in `rax`. See [`Stopped::begin_call`].
    pub fn begin_call(&mut self, i: usize, number: i64, args: [u64; 6]) -> Result<i64> {
        let (arch, scratch) = (self.arch, self.scratch()?);
        let thread = self.thread_at(i)?;
        let mut regs = thread.regs()?;
        for (i, arg) in args.into_iter().enumerate() {
            *arch.arg_mut(&mut regs, i) = arg;
        }
        regs.rip = match arch {
            Arch::X86_64 => scratch.insn,
            // The kernel restarts a call in the way in which it was made.
            Arch::I386 => scratch.base + code::in_stub(i386::INT80),
        };
        (regs.rax, regs.cs, regs.orig_rax) = (number as u64, x86_64::CS, u64::MAX);
        thread.set_regs(&regs)?;
        thread.begin_call()?;
        Ok(thread.regs()?.rax as i64)
    }

    /// Takes the scratch mapping away, unless another host has it in common with this one and needs it: the last remote call.
    pub fn leave_scratch(&mut self, needed: bool) -> Result<()> {
        self.remote()?.leave(needed)?;
        self.scratch = None;
        // The end of a system call that was not stepped over is no place to let it go from.
        let thread = self.thread()?;
        if thread.ignores_traps() {
            thread.stand()?;
        }
        Ok(())
    }

    /// Lets the main thread exit, alone, with what wait(2) calls `status`; the next thread takes its place here. It must have nothing left to do.
    ///
    /// It is let go first: for the parent of a process, a main thread that is traced ends when its tracer has been told, and not before.
    pub fn end_main(&mut self, status: u32) -> Result<()> {
        let insn = self.scratch()?.insn;
        let mut main = self.threads.remove(0);
        let mut regs = main.regs()?;
        (regs.rax, regs.rdi, regs.rip, regs.orig_rax) =
            (libc::SYS_exit as u64, u64::from(status >> 8 & 0xff), insn, u64::MAX);
        regs.cs = x86_64::CS;
        main.set_regs(&regs)?;
        let ignores_traps = main.ignores_traps();
        drop(main);
        until_zombie(self.pid)?;
        let next = self.thread()?;
        if ignores_traps {
            next.ignore_traps();
        }
        self.memory = Memory::open(next.tid())?;
        Ok(())
    }

    /// Lets it go as the process that it has become.
    pub fn release(mut self) -> i32 {
        self.threads.clear();
        self.pid
    }

    /// Lets it go on as one of a family that we watch from here on ([`crate::tracees`]).
    pub fn hand_over(mut self) -> i32 {
        self.threads.iter_mut().for_each(Stopped::watch);
        self.threads.clear();
        self.pid
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if !self.threads.is_empty() {
            end(self.pid, &self.threads);
            // Nothing is left to be let go.
            self.threads.drain(..).for_each(std::mem::forget);
        }
    }
}

/// A mapping of the kernel's own: `[vdso]`, `[vvar]` and what newer kernels put beside them. Known by what they are (VM_IO, VM_PFNMAP) and by
/// the brackets around a name that is neither heap, stack nor ours to choose; never by a list of names alone.
pub fn is_special(m: &proc::Mapping) -> bool {
    m.path == b"[vdso]"
        || m.path == b"[vsyscall]"
        || (m.path.starts_with(b"[v") && m.ino == 0 && (m.has("io") || m.has("pf") || m.has("dd")))
}

/// Waits until the main thread of a host, which was let go to exit, has done so.
pub(super) fn until_zombie(pid: i32) -> Result<()> {
    let deadline = Instant::now() + sys::limit();
    while !proc::state(pid).ok_or(Error::Died(pid))?.starts_with('Z') {
        if Instant::now() > deadline {
            return refuse(RefusalKind::Internal, format!("the main thread {pid} of a host does not end"));
        }
        std::thread::sleep(Duration::from_micros(100));
    }
    Ok(())
}

/// Kills the process and sees each thread off: the main thread's end is told only when the others' have been taken.
fn end(pid: i32, threads: &[Stopped]) {
    let _ = signals::kill(pid, libc::SIGKILL);
    for tid in threads.iter().map(Stopped::tid).rev().chain([pid]) {
        while !matches!(sys::wait(tid), Ok(Wait::Ended(_)) | Err(_)) {}
    }
}

/// Between fork and seize.
struct Unseized {
    pid: i32,
    done: bool,
}

impl Drop for Unseized {
    fn drop(&mut self) {
        if !self.done {
            end(self.pid, &[]);
        }
    }
}

/// Forks a child that closes `ready`, waits for a byte at the gate and then executes the program. It exits with errno if that fails.
fn spawn(start: &Start<'_>, gate_out: &OwnedFd, gate_in: &OwnedFd, ready: &OwnedFd) -> Result<i32> {
    let empty: CString = CString::default();
    let argv: [*const libc::c_char; 2] = [c"cryo-host".as_ptr(), ptr::null()];
    let envp: [*const libc::c_char; 1] = [ptr::null()];
    let (dir, path, flags) = match start.program {
        Program::Path(p) => (libc::AT_FDCWD, p.as_ptr(), 0),
        Program::Fd(fd) => (fd.as_raw_fd(), empty.as_ptr(), libc::AT_EMPTY_PATH),
    };
    let set_tid: [i32; 1] = [start.pid.unwrap_or(0)];
    let args = CloneArgs {
        flags: if start.sibling { libc::CLONE_PARENT as u64 } else { 0 },
        // A sibling has ours.
        exit_signal: if start.sibling { 0 } else { libc::SIGCHLD as u64 },
        set_tid: if start.pid.is_some() { set_tid.as_ptr() as u64 } else { 0 },
        set_tid_size: u64::from(start.pid.is_some()),
        ..CloneArgs::default()
    };
    // SAFETY: without CLONE_VM this is fork(2); the child below makes only system calls and never returns.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<CloneArgs>()) };
    if pid < 0 {
        return Err(Error::last(match start.pid {
            Some(p) => format!("making a process with pid {p}"),
            None => "making a process".into(),
        }));
    }
    if pid > 0 {
        return Ok(pid as i32);
    }
    // SAFETY: async-signal-safe calls only; every pointer is to memory made before the fork.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
        if start.new_session {
            libc::setsid();
        }
        libc::close(gate_in.as_raw_fd());
        // Yama lets only descendants be traced otherwise; where there is no Yama this fails.
        if start.sibling {
            libc::prctl(libc::PR_SET_PTRACER, libc::PR_SET_PTRACER_ANY, 0, 0, 0);
        }
        libc::close(ready.as_raw_fd());
        let mut byte = 0_u8;
        if libc::read(gate_out.as_raw_fd(), (&raw mut byte).cast(), 1) != 1 {
            libc::_exit(libc::ECANCELED);
        }
        if start.sibling {
            libc::prctl(libc::PR_SET_PTRACER, 0, 0, 0, 0);
        }
        for fd in start.keep {
            libc::fcntl(*fd, libc::F_SETFD, 0);
        }
        libc::syscall(libc::SYS_personality, start.personality);
        libc::syscall(libc::SYS_execveat, dir, path, argv.as_ptr(), envp.as_ptr(), flags);
        libc::_exit(*libc::__errno_location());
    }
}

/// linux/sched.h struct clone_args.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct CloneArgs {
    pub(crate) flags: u64,
    pub(crate) pidfd: u64,
    pub(crate) child_tid: u64,
    pub(crate) parent_tid: u64,
    pub(crate) exit_signal: u64,
    pub(crate) stack: u64,
    pub(crate) stack_size: u64,
    pub(crate) tls: u64,
    pub(crate) set_tid: u64,
    pub(crate) set_tid_size: u64,
    pub(crate) cgroup: u64,
}

impl CloneArgs {
    pub(super) fn words(&self) -> [u64; 11] {
        [
            self.flags,
            self.pidfd,
            self.child_tid,
            self.parent_tid,
            self.exit_signal,
            self.stack,
            self.stack_size,
            self.tls,
            self.set_tid,
            self.set_tid_size,
            self.cgroup,
        ]
    }
}

/// Raises the soft limit of open files of a process of ours to its hard limit.
pub fn raise_file_limit(pid: i32) -> Result<()> {
    let (_, hard) = limits::get(pid, libc::RLIMIT_NOFILE)?;
    limits::set(pid, libc::RLIMIT_NOFILE, (hard, hard))
}
