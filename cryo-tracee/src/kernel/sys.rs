//! ptrace(2) and waitpid(2), thinly.

use std::io;
use std::mem::{size_of, zeroed};
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::{Error, LIMIT, Result, fault};

/// NT_X86_XSTATE (linux/elf.h).
pub const NT_X86_XSTATE: i32 = 0x202;
/// NT_PRFPREG.
pub const NT_PRFPREG: i32 = 2;
const PTRACE_GET_RSEQ_CONFIGURATION: libc::c_uint = 0x420f;

static LIMIT_MS: AtomicU64 = AtomicU64::new(LIMIT.as_millis() as u64);

/// Changes how long we wait for a thread ([`LIMIT`] by default).
pub fn set_limit(limit: Duration) {
    LIMIT_MS.store(limit.as_millis() as u64, Ordering::Relaxed);
}

pub fn limit() -> Duration {
    Duration::from_millis(LIMIT_MS.load(Ordering::Relaxed))
}

fn check(r: libc::c_long, what: impl FnOnce() -> String) -> Result<libc::c_long> {
    if r != -1 {
        return Ok(r);
    }
    let e = io::Error::last_os_error();
    Err(Error::sys(what(), e))
}

/// Which undoing is going on: those calls are not made to fail on purpose.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Counted,
    Never,
}

impl Fault {
    fn point(self, what: impl FnOnce() -> String) -> Result<()> {
        if self == Self::Never {
            fault::moment();
            return Ok(());
        }
        fault::point().map_err(|e| Error::sys(what(), e))
    }
}

/// The requests of ptrace(2) whose address and data are plain numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Request {
    Seize = libc::PTRACE_SEIZE,
    Interrupt = libc::PTRACE_INTERRUPT,
    Cont = libc::PTRACE_CONT,
    SingleStep = libc::PTRACE_SINGLESTEP,
    Syscall = libc::PTRACE_SYSCALL,
    Detach = libc::PTRACE_DETACH,
    SetOptions = libc::PTRACE_SETOPTIONS,
    Listen = libc::PTRACE_LISTEN,
}

impl Request {
    /// ptrace(2) has it by this name.
    fn name(self) -> &'static str {
        match self {
            Self::Seize => "PTRACE_SEIZE",
            Self::Interrupt => "PTRACE_INTERRUPT",
            Self::Cont => "PTRACE_CONT",
            Self::SingleStep => "PTRACE_SINGLESTEP",
            Self::Syscall => "PTRACE_SYSCALL",
            Self::Detach => "PTRACE_DETACH",
            Self::SetOptions => "PTRACE_SETOPTIONS",
            Self::Listen => "PTRACE_LISTEN",
        }
    }
}

/// Makes one of them.
pub fn ptrace(request: Request, tid: i32, addr: usize, data: usize, fault: Fault) -> Result<libc::c_long> {
    let what = || format!("{} of thread {tid}", request.name());
    fault.point(what)?;
    // SAFETY: each of these requests takes numbers, no pointers.
    check(unsafe { libc::ptrace(request as libc::c_uint, tid, addr, data) }, what)
}

/// The general registers, as a tracer of 64 bits sees them, whatever code the thread executes (PTRACE_GETREGS; PTRACE_GETREGSET goes by that code).
pub fn regs(tid: i32) -> Result<libc::user_regs_struct> {
    let what = || format!("reading the registers of thread {tid}");
    fault::point().map_err(|e| Error::sys(what(), e))?;
    // SAFETY: a structure of integers.
    let mut regs: libc::user_regs_struct = unsafe { zeroed() };
    // SAFETY: the kernel writes the structure.
    check(unsafe { libc::ptrace(libc::PTRACE_GETREGS, tid, 0, &raw mut regs) }, what)?;
    Ok(regs)
}

/// Sets them.
pub fn set_regs(tid: i32, regs: &libc::user_regs_struct, fault: Fault) -> Result<()> {
    let what = || format!("setting the registers of thread {tid}");
    fault.point(what)?;
    // SAFETY: the kernel reads the structure.
    check(unsafe { libc::ptrace(libc::PTRACE_SETREGS, tid, 0, ptr::from_ref(regs)) }, what).map(drop)
}

/// An entry for thread-local storage in the GDT (`struct user_desc` of asm/ldt.h).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UserDesc {
    /// Which one of the GDT.
    pub entry: u32,
    /// Base address.
    pub base: u32,
    /// Limit.
    pub limit: u32,
    /// The bit field.
    pub flags: u32,
}

/// What the kernel says of an entry that is empty: read_exec_only and seg_not_present.
const EMPTY: u32 = 8 | 32;

impl UserDesc {
    /// Is the entry not in use?
    pub fn is_empty(&self) -> bool {
        self.base == 0 && self.limit == 0 && self.flags == EMPTY
    }

    /// An entry that is not in use.
    pub fn empty(entry: u32) -> Self {
        Self { entry, flags: EMPTY, ..Self::default() }
    }
}

/// asm/ptrace-abi.h
const PTRACE_GET_THREAD_AREA: libc::c_uint = 25;
const PTRACE_SET_THREAD_AREA: libc::c_uint = 26;

/// A thread's entry for thread-local storage in the GDT; kernels without 32-bit programs have none.
pub fn thread_area(tid: i32, entry: u32) -> Result<UserDesc> {
    let what = || format!("reading TLS entry {entry} of thread {tid}");
    fault::point().map_err(|e| Error::sys(what(), e))?;
    let mut area = UserDesc::default();
    // SAFETY: the kernel writes the structure.
    check(unsafe { libc::ptrace(PTRACE_GET_THREAD_AREA, tid, entry as usize, &raw mut area) }, what)?;
    Ok(area)
}

/// Sets it.
pub fn set_thread_area(tid: i32, area: &UserDesc) -> Result<()> {
    let what = || format!("setting TLS entry {} of thread {tid}", area.entry);
    Fault::Counted.point(what)?;
    // SAFETY: the kernel reads the structure.
    check(unsafe { libc::ptrace(PTRACE_SET_THREAD_AREA, tid, area.entry as usize, ptr::from_ref(area)) }, what)
        .map(drop)
}

/// Reads register set `set` into `buf`; returns how many bytes the kernel wrote.
pub fn get_regset(tid: i32, set: i32, buf: &mut [u8]) -> Result<usize> {
    let what = || format!("reading register set {set:#x} of thread {tid}");
    fault::point().map_err(|e| Error::sys(what(), e))?;
    let mut iov = libc::iovec { iov_base: buf.as_mut_ptr().cast(), iov_len: buf.len() };
    // SAFETY: iov describes `buf`, which outlives the call; the kernel writes at most iov_len bytes.
    check(unsafe { libc::ptrace(libc::PTRACE_GETREGSET, tid, set as usize, &raw mut iov) }, what)?;
    Ok(iov.iov_len)
}

/// Writes register set `set`.
pub fn set_regset(tid: i32, set: i32, buf: &[u8], fault: Fault) -> Result<()> {
    let what = || format!("setting register set {set:#x} of thread {tid}");
    fault.point(what)?;
    let mut iov = libc::iovec { iov_base: buf.as_ptr().cast_mut().cast(), iov_len: buf.len() };
    // SAFETY: the kernel only reads iov_len bytes from `buf`.
    check(unsafe { libc::ptrace(libc::PTRACE_SETREGSET, tid, set as usize, &raw mut iov) }, what)?;
    Ok(())
}

/// Blocked signals (ptrace(2) PTRACE_GETSIGMASK).
pub fn get_sigmask(tid: i32) -> Result<u64> {
    let what = || format!("reading the signal mask of thread {tid}");
    fault::point().map_err(|e| Error::sys(what(), e))?;
    let mut mask = 0_u64;
    // SAFETY: the kernel writes the 8 bytes that `addr` announces into `mask`.
    check(unsafe { libc::ptrace(libc::PTRACE_GETSIGMASK, tid, size_of::<u64>(), &raw mut mask) }, what)?;
    Ok(mask)
}

/// Sets the blocked signals.
pub fn set_sigmask(tid: i32, mask: u64, fault: Fault) -> Result<()> {
    let what = || format!("setting the signal mask of thread {tid}");
    fault.point(what)?;
    // SAFETY: the kernel reads 8 bytes of `mask`.
    check(unsafe { libc::ptrace(libc::PTRACE_SETSIGMASK, tid, size_of::<u64>(), &raw const mask) }, what)?;
    Ok(())
}

/// rseq(2) registration of a thread: address, size, signature, flags. `None` where the kernel does not tell (before 5.13).
pub fn rseq(tid: i32) -> Option<(u64, u32, u32, u32)> {
    #[repr(C)]
    #[derive(Default)]
    struct Configuration {
        pointer: u64,
        size: u32,
        signature: u32,
        flags: u32,
        pad: u32,
    }
    let mut c = Configuration::default();
    // SAFETY: the kernel writes at most size_of::<Configuration>() bytes into `c`.
    let r = unsafe { libc::ptrace(PTRACE_GET_RSEQ_CONFIGURATION, tid, size_of::<Configuration>(), &raw mut c) };
    (r > 0).then_some((c.pointer, c.size, c.signature, c.flags))
}

/// prctl(PR_SET_SYSCALL_USER_DISPATCH) of a thread, as ptrace has it (`struct ptrace_sud_config`, linux/ptrace.h).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dispatch {
    /// PR_SYS_DISPATCH_OFF 0, EXCLUSIVE_ON 1, INCLUSIVE_ON 2.
    pub mode: u64,
    /// Address of the selector byte; 0 for none.
    pub selector: u64,
    /// Where the range of code begins.
    pub offset: u64,
    /// Its bytes.
    pub len: u64,
}

const EXCLUSIVE_ON: u64 = 1;
const INCLUSIVE_ON: u64 = 2;
const PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG: libc::c_uint = 0x4210;
const PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG: libc::c_uint = 0x4211;

/// How system calls of a thread are dispatched to the program itself; off where the kernel does not tell (before 6.4).
pub fn dispatch(tid: i32) -> Dispatch {
    let mut config = Dispatch::default();
    // SAFETY: the kernel writes at most the announced size_of::<Dispatch>() bytes into `config`.
    let r =
        unsafe { libc::ptrace(PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG, tid, size_of::<Dispatch>(), &raw mut config) };
    if r != 0 {
        return Dispatch::default();
    }
    // The kernel keeps INCLUSIVE_ON as the range that is left, which wraps around, and says EXCLUSIVE_ON of it; but it does not take that back
    // (kernel/entry/syscall_user_dispatch.c).
    let end = config.offset.wrapping_add(config.len);
    if config.mode == EXCLUSIVE_ON && config.offset != 0 && end <= config.offset {
        return Dispatch { mode: INCLUSIVE_ON, offset: end, len: config.len.wrapping_neg(), ..config };
    }
    config
}

/// Sets it.
pub fn set_dispatch(tid: i32, config: Dispatch, fault: Fault) -> Result<()> {
    let what = || format!("setting the system call dispatch of thread {tid}");
    fault.point(what)?;
    let size = size_of::<Dispatch>();
    // SAFETY: the kernel reads size_of::<Dispatch>() bytes of `config`.
    check(unsafe { libc::ptrace(PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG, tid, size, &raw const config) }, what)?;
    Ok(())
}

/// The message of the last PTRACE_EVENT_*: for a clone, the child's id as the tracer sees it.
pub fn event_message(tid: i32) -> Option<u64> {
    let mut message: libc::c_ulong = 0;
    // SAFETY: the kernel writes one unsigned long.
    let r = unsafe { libc::ptrace(libc::PTRACE_GETEVENTMSG, tid, 0, &raw mut message) };
    (r == 0).then_some(message)
}

/// siginfo of the signal that the thread stopped for; an error in a group stop.
pub fn siginfo(tid: i32) -> Result<[u8; 128]> {
    let mut info = [0_u8; 128];
    // SAFETY: siginfo_t is 128 bytes (asm-generic/siginfo.h SI_MAX_SIZE).
    check(unsafe { libc::ptrace(libc::PTRACE_GETSIGINFO, tid, 0, info.as_mut_ptr()) }, || {
        format!("reading the signal of thread {tid}")
    })?;
    Ok(info)
}

/// Pending signals of the thread, or of its process if `shared`, without taking them (PTRACE_PEEKSIGINFO).
pub fn peek_siginfo(tid: i32, shared: bool) -> Result<Vec<[u8; 128]>> {
    #[repr(C)]
    struct Args {
        off: u64,
        flags: u32,
        nr: i32,
    }
    let mut all = Vec::new();
    loop {
        let what = || format!("reading the pending signals of thread {tid}");
        fault::point().map_err(|e| Error::sys(what(), e))?;
        let mut batch = [[0_u8; 128]; 32];
        let args = Args { off: all.len() as u64, flags: u32::from(shared), nr: 32 };
        // SAFETY: the kernel reads `args` and writes at most `nr` entries of 128 bytes into `batch`.
        let n =
            check(unsafe { libc::ptrace(libc::PTRACE_PEEKSIGINFO, tid, &raw const args, batch.as_mut_ptr()) }, what)?;
        all.extend_from_slice(&batch[..n as usize]);
        if n < 32 {
            return Ok(all);
        }
    }
}

/// What waitpid said of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// A signal is about to be delivered.
    Signal(i32),
    /// A PTRACE_EVENT_* with the stop signal.
    Event(i32, i32),
    /// A system call stop (PTRACE_O_TRACESYSGOOD).
    Syscall,
    /// Ended with this wait status.
    Ended(i32),
}

/// ptrace stops are announced by SIGCHLD. While it is blocked we can wait for it with a time limit, which waitpid has none of. Dropping this gives the
/// thread its mask back.
struct Blocked {
    sigchld: libc::sigset_t,
    before: libc::sigset_t,
}

impl Blocked {
    fn begin() -> Self {
        // SAFETY: sigset_t is plain data, which the calls initialise; only this thread's mask changes.
        unsafe {
            let (mut sigchld, mut before): (libc::sigset_t, libc::sigset_t) = (zeroed(), zeroed());
            libc::sigemptyset(&raw mut sigchld);
            libc::sigaddset(&raw mut sigchld, libc::SIGCHLD);
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const sigchld, &raw mut before);
            Self { sigchld, before }
        }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // SAFETY: `before` came from pthread_sigmask.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.before, ptr::null_mut()) };
    }
}

pub fn decode(status: i32) -> Wait {
    if !libc::WIFSTOPPED(status) {
        return Wait::Ended(status);
    }
    let signal = libc::WSTOPSIG(status);
    match status >> 16 {
        0 if signal == libc::SIGTRAP | 0x80 => Wait::Syscall,
        0 => Wait::Signal(signal),
        event => Wait::Event(event, signal),
    }
}

/// For how long a stop is looked for before it is slept for.
const AT_ONCE: Duration = Duration::from_micros(30);

/// Waits until thread `tid` stops or ends, at most [`limit`].
pub fn wait(tid: i32) -> Result<Wait> {
    fault::moment();
    let mut blocked: Option<Blocked> = None;
    let begin = Instant::now();
    let deadline = begin + limit();
    let mut zombie = false;
    loop {
        let mut status = 0;
        // SAFETY: the kernel writes one int.
        let r = unsafe { libc::waitpid(tid, &raw mut status, libc::__WALL | libc::WNOHANG) };
        if r == tid {
            return Ok(decode(status));
        }
        if r == -1 {
            let e = io::Error::last_os_error();
            return match e.raw_os_error() {
                Some(libc::EINTR) => continue,
                Some(libc::ECHILD) => Err(Error::Died(tid)),
                _ => Err(Error::sys(format!("waiting for thread {tid}"), e)),
            };
        }
        // Most stops come within microseconds, and to sleep and be woken takes longer than that.
        if begin.elapsed() < AT_ONCE {
            std::thread::yield_now();
            continue;
        }
        if zombie {
            // A main thread's end is told only when the others' have been taken, and we may be the one who has to take those.
            return Err(Error::Died(tid));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let state = crate::proc::state(tid).unwrap_or_else(|| "gone".into());
            return Err(Error::Stuck { tid, seconds: limit().as_secs(), state });
        }
        let Some(blocked) = &blocked else {
            // One that came before it was blocked is lost: look once more before the first sleep.
            blocked = Some(Blocked::begin());
            continue;
        };
        // A SIGCHLD may be lost to another thread of ours or merged with one that was there: look again every 20 ms at least.
        let nap = left.min(Duration::from_millis(20));
        let ts = libc::timespec { tv_sec: 0, tv_nsec: nap.as_nanos() as i64 };
        // SAFETY: the set and `ts` are initialised; no siginfo is asked for.
        let silence = unsafe { libc::sigtimedwait(&raw const blocked.sigchld, ptr::null_mut(), &raw const ts) } < 0;
        zombie = silence && crate::proc::state(tid).is_some_and(|s| s.starts_with('Z'));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits for a child that lives long enough to be slept for; the thread's mask is then what it was.
    #[test]
    #[allow(clippy::zombie_processes)] // our own wait() takes it
    fn the_mask_is_given_back() {
        let status = crate::proc::Status::of(rustix::thread::gettid().as_raw_pid()).expect("our own status");
        let child = std::process::Command::new("sleep").arg("0.1").spawn().expect("sleep");
        let pid = child.id() as i32;
        assert!(matches!(wait(pid), Ok(Wait::Ended(0))));
        let after = crate::proc::Status::of(rustix::thread::gettid().as_raw_pid()).expect("our own status");
        assert_eq!(after.hex("SigBlk"), status.hex("SigBlk"));
    }

    /// A test is a thread beside the harness.
    #[test]
    fn many_threads_are_refused() {
        let text = crate::proc::one_thread("trying").expect_err("two threads").to_string();
        assert!(text.starts_with("trying: this process has"), "{text}");
        assert!(crate::timens::enter([0, 0]).is_err() && crate::namespace::check().is_err());
        assert!(crate::guardian::run(|| 0).is_err());
    }
}
