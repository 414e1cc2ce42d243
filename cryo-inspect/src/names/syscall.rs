//! System calls and error numbers.

use cryo_format::header::EM_386;
use syscalls::{x86, x86_64};

/// The name of a system call of `machine`.
pub fn name(machine: u16, number: u64) -> Option<&'static str> {
    let number = usize::try_from(number).ok()?;
    if machine == EM_386 {
        x86::Sysno::new(number).map(|n| n.name())
    } else {
        x86_64::Sysno::new(number).map(|n| n.name())
    }
}

/// How many arguments the calls have that a process is usually found in. Of others all six registers are shown.
pub fn arguments(name: &str) -> usize {
    match name {
        "pause" | "restart_syscall" | "sched_yield" | "getpid" | "fork" | "vfork" => 0,
        "close" | "exit" | "exit_group" | "fsync" | "fdatasync" | "brk" => 1,
        "nanosleep" | "rt_sigsuspend" | "flock" | "munmap" | "futex_wake" | "msync" => 2,
        "read" | "write" | "readv" | "writev" | "poll" | "accept" | "connect" | "recvmsg" | "sendmsg" | "ioctl"
        | "fcntl" | "open" | "getrandom" | "getdents64" | "semop" | "mprotect" | "madvise" | "execve" => 3,
        "clock_nanosleep"
        | "clock_nanosleep_time64"
        | "epoll_wait"
        | "rt_sigtimedwait"
        | "rt_sigtimedwait_time64"
        | "wait4"
        | "accept4"
        | "openat"
        | "pread64"
        | "pwrite64"
        | "sendfile"
        | "semtimedop"
        | "msgsnd"
        | "newfstatat"
        | "rt_sigaction"
        | "rt_sigprocmask" => 4,
        "ppoll" | "ppoll_time64" | "select" | "_newselect" | "waitid" | "msgrcv" | "mq_timedreceive"
        | "mq_timedsend" | "io_getevents" | "recvmmsg" | "mremap" => 5,
        _ => 6,
    }
}

/// The name of an error number, the kernel's own restart codes too.
pub fn errno(number: u32) -> Option<String> {
    let own = match number {
        512 => "ERESTARTSYS",
        513 => "ERESTARTNOINTR",
        514 => "ERESTARTNOHAND",
        516 => "ERESTART_RESTARTBLOCK",
        _ => {
            let name = syscalls::Errno::new(i32::try_from(number).ok()?).name()?;
            return Some(name.to_owned());
        }
    };
    Some(own.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use cryo_format::header::EM_X86_64;

    #[test]
    fn both_machines() {
        assert_eq!(name(EM_X86_64, 35), Some("nanosleep"));
        assert_eq!(name(EM_386, 162), Some("nanosleep"));
        assert_eq!(name(EM_X86_64, u64::MAX), None);
        assert_eq!(errno(4).as_deref(), Some("EINTR"));
        assert_eq!(errno(516).as_deref(), Some("ERESTART_RESTARTBLOCK"));
        assert_eq!(errno(4000), None);
    }
}
