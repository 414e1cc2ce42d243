//! System calls and error numbers.

use syscalls::{x86, x86_64};

use crate::arch::Arch;

/// The name of a system call of this machine.
pub fn name(arch: Arch, number: u64) -> Option<&'static str> {
    let number = usize::try_from(number).ok()?;
    match arch {
        Arch::X86_64 => x86_64::Sysno::new(number).map(|n| n.name()),
        Arch::I386 => x86::Sysno::new(number).map(|n| n.name()),
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

    #[test]
    fn both_machines() {
        assert_eq!(name(Arch::X86_64, 35), Some("nanosleep"));
        assert_eq!(name(Arch::I386, 162), Some("nanosleep"));
        assert_eq!(name(Arch::X86_64, u64::MAX), None);
        assert_eq!(errno(4).as_deref(), Some("EINTR"));
        assert_eq!(errno(516).as_deref(), Some("ERESTART_RESTARTBLOCK"));
        assert_eq!(errno(4000), None);
    }
}
