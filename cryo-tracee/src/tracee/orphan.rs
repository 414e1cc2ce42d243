//! Starting a command from within somebody else's program, without the program noticing: the command is not its child.
//!
//! It would get SIGCHLD for one, and its wait(-1) might see it off. And a program that has itself frozen must not have its freezer among its descendants.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::ptr;

use rustix::pipe::{PipeFlags, pipe_with};

use crate::error::Context;
use crate::{Error, Result};

/// A command that waits to be let go. Dropping it lets it go, too.
pub struct Orphan {
    /// Its pid.
    pub pid: i32,
    gate: OwnedFd,
    told: File,
}

impl Orphan {
    /// Makes a process that will execute `program` with these arguments and environment, in a session of its own. Its descriptors are those of `given`, in
    /// their order from 0 on, and no others.
    pub fn make(program: &CStr, argv: &[CString], envp: &[CString], given: &[BorrowedFd<'_>]) -> Result<Self> {
        let about = || "making a pipe".to_owned();
        let (gate_out, gate) = pipe_with(PipeFlags::CLOEXEC).about(about)?;
        let (told, told_in) = pipe_with(PipeFlags::CLOEXEC).about(about)?;
        let terminated = |strings: &[CString]| -> Vec<*const libc::c_char> {
            strings.iter().map(|s| s.as_ptr()).chain([ptr::null()]).collect()
        };
        let child = Child {
            program,
            argv: &terminated(argv),
            envp: &terminated(envp),
            given: &given.iter().map(AsRawFd::as_raw_fd).collect::<Vec<_>>(),
            gate_out: gate_out.as_raw_fd(),
            told: told_in.as_raw_fd(),
        };
        let between = fork(&child)?;
        drop((gate_out, told_in));
        // Without an exit signal it is a "clone child", which only who asks for such waits for (wait(2)).
        let mut status = 0;
        // SAFETY: the kernel writes one int.
        while unsafe { libc::waitpid(between, &raw mut status, libc::__WALL) } < 0
            && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
        {}
        let mut told = File::from(told);
        let mut pid = [0; 4];
        told.read_exact(&mut pid).about(|| format!("starting {}", program.to_string_lossy()))?;
        Ok(Self { pid: i32::from_ne_bytes(pid), gate, told })
    }

    /// Lets it execute the program, and says whether it could.
    pub fn go(self) -> Result<()> {
        drop(self.gate);
        let mut told = self.told;
        let mut errno = Vec::new();
        told.read_to_end(&mut errno).about(|| "starting a command".into())?;
        match <[u8; 4]>::try_from(errno.as_slice()) {
            Ok(errno) => Err(Error::sys("starting a command", io::Error::from_raw_os_error(i32::from_ne_bytes(errno)))),
            Err(_) => Ok(()),
        }
    }
}

/// Lets process `pid` trace this one where Yama forbids it to all but ancestors (prctl(2), PR_SET_PTRACER). Elsewhere that is not known, and not needed.
pub fn allow_tracing(pid: i32) {
    // SAFETY: takes numbers.
    unsafe { libc::prctl(libc::PR_SET_PTRACER, pid, 0, 0, 0) };
}

/// Has this program more rights than who started it (set-uid, file capabilities)? Then its environment is not to be trusted (getauxval(3), AT_SECURE).
pub fn has_more_rights() -> bool {
    // SAFETY: takes a number.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// All that the child needs, made before it is: behind fork(2) in a program of many threads nothing may be allocated.
struct Child<'a> {
    program: &'a CStr,
    argv: &'a [*const libc::c_char],
    envp: &'a [*const libc::c_char],
    given: &'a [i32],
    gate_out: i32,
    told: i32,
}

/// Makes the process in between, which makes the command and ends.
fn fork(child: &Child<'_>) -> Result<i32> {
    // SAFETY: signal sets that the calls initialise; all signals are blocked in this thread until it is done, so that no handler of the program runs in the
    // child. The child makes only system calls, on memory made before.
    unsafe {
        let (mut all, mut before): (libc::sigset_t, libc::sigset_t) = (std::mem::zeroed(), std::mem::zeroed());
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        // No SIGCHLD for the one in between. (Not vfork: its stack would be ours.)
        let pid = libc::syscall(libc::SYS_clone, 0, 0, 0, 0, 0);
        if pid == 0 {
            if libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) == 0 {
                become_command(child);
            }
            libc::_exit(0);
        }
        let error = io::Error::last_os_error();
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, ptr::null_mut());
        if pid < 0 { Err(Error::sys("making a process", error)) } else { Ok(pid as i32) }
    }
}

/// Becomes the command, or ends.
///
/// # Safety
/// Only in a child that has just been forked.
unsafe fn become_command(child: &Child<'_>) -> ! {
    /// Above the numbers that are given.
    const ASIDE: i32 = 100;
    // SAFETY: system calls on numbers and on memory made before the fork; the strings are terminated, and so are their lists.
    unsafe {
        // Those that are given, the gate, and whom we tell. Twice: one of them may stand where another is to go.
        let all = child.given.iter().chain([&child.gate_out, &child.told]);
        for (to, from) in (ASIDE..).zip(all) {
            libc::dup2(*from, to);
        }
        let (gate, told) = (child.given.len() as i32, child.given.len() as i32 + 1);
        for to in 0..=told {
            libc::dup2(ASIDE + to, to);
        }
        // Before anything is waited for: among the others may be the open end of another command's gate, made by another thread at the same time.
        libc::syscall(libc::SYS_close_range, told + 1, u32::MAX, 0);
        libc::fcntl(gate, libc::F_SETFD, libc::FD_CLOEXEC);
        libc::fcntl(told, libc::F_SETFD, libc::FD_CLOEXEC);
        let pid = libc::getpid().to_ne_bytes();
        libc::write(told, pid.as_ptr().cast(), pid.len());
        let mut byte = 0_u8;
        while libc::read(gate, (&raw mut byte).cast(), 1) < 0 && *libc::__errno_location() == libc::EINTR {}
        libc::setsid();
        for signal in 1..=64 {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
        libc::execve(child.program.as_ptr(), child.argv.as_ptr(), child.envp.as_ptr());
        let errno = (*libc::__errno_location()).to_ne_bytes();
        libc::write(told, errno.as_ptr().cast(), errno.len());
        libc::_exit(127)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(program: &str, args: &[&str]) -> (Orphan, File) {
        let (out, into) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let null = File::open("/dev/null").unwrap();
        let argv: Vec<CString> = args.iter().map(|arg| CString::new(*arg).unwrap()).collect();
        let fds = [null.as_fd(), into.as_fd(), null.as_fd()];
        let program = CString::new(program).unwrap();
        (Orphan::make(&program, &argv, &[c"A=b".into()], &fds).unwrap(), out.into())
    }

    use std::os::fd::AsFd;

    #[test]
    fn a_command_that_is_nobodys_child_here() {
        let (orphan, mut out) = start("/bin/sh", &["sh", "-c", "echo $A $PPID; ls /proc/$$/fd"]);
        let pid = orphan.pid;
        let children = std::fs::read_to_string(format!("/proc/self/task/{}/children", std::process::id())).unwrap();
        assert!(!children.split_whitespace().any(|child| child == pid.to_string()));
        orphan.go().unwrap();
        let mut text = String::new();
        out.read_to_string(&mut text).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("b ") && lines[0] != format!("b {}", std::process::id()), "{text}");
        assert_eq!(lines[1..], ["0", "1", "2"]);
    }

    #[test]
    fn a_program_that_is_not_there() {
        let (orphan, _out) = start("/nowhere/to/be/found", &["x"]);
        assert_eq!(orphan.go().unwrap_err().errno(), Some(libc::ENOENT));
    }
}
