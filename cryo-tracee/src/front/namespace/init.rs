//! What the first process of a namespace does, and who stands in its place without one.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::thread::{CapabilitySet, CapabilitySets};

use super::{
    ENDED, NO_PID, NO_PROC, READY, RUNS, Runs, STOPPED, Start, WATCHED, closed, end_with_parent, fork, read_event, tell,
};
use crate::signals::{self, Ended};

pub(super) fn be_init(
    worker: i32,
    work: impl FnOnce(&mut Start) -> Result<Runs, i32>,
    gate: &OwnedFd,
    events: OwnedFd,
) -> i32 {
    let mut byte = [0];
    if !matches!(rustix::io::read(gate, &mut byte), Ok(1)) {
        return 1;
    }
    let _ = rustix::thread::set_name(AS_INIT);
    if let Err(e) = own_proc() {
        tell(&mut File::from(events), NO_PROC, e.raw_os_error().unwrap_or(libc::EPERM));
        return 1;
    }
    // The worker may choose pids for as long as it and the host need to: capabilities that survive the host's exec.
    if !rustix::process::geteuid().is_root() {
        keep_capabilities();
    }
    // Not earlier: a change of credentials takes it away. Whoever has ended by now has closed the other end of the gate.
    end_with_parent(true);
    if closed(gate) {
        return 1;
    }
    let Ok((result_out, result_in)) = pipe_with(PipeFlags::CLOEXEC) else { return 1 };
    let Ok((go_out, go_in)) = pipe_with(PipeFlags::CLOEXEC) else { return 1 };
    let pid = match fork(0, Some(worker)) {
        Ok(pid) => pid,
        Err(e) => {
            tell(&mut File::from(events), NO_PID, e.raw_os_error().unwrap_or(libc::EPERM));
            return 1;
        }
    };
    if pid == 0 {
        drop(go_in);
        let code = Start { ready: File::from(result_in), go: go_out }.work(work);
        // SAFETY: ends this process; the program, if there is one, becomes init's child.
        unsafe { libc::_exit(code) };
    }
    drop((result_in, go_out));
    // It owns descriptors that are closed wholesale below; this process never comes back to drop them.
    std::mem::forget(work);
    // Our own name for pid 1 holds no file of the program or of the command open but the pipes to the outside.
    let mut events = File::from(events);
    let mut results = File::from(result_out);
    let mut result = read_event(&mut results).ok().flatten();
    if let Some((READY, _)) = result {
        tell(&mut events, READY, 0);
        if !matches!(rustix::io::read(gate, &mut byte), Ok(1)) {
            return 1;
        }
        // From here on the command may end, and the program runs.
        end_with_parent(false);
        let _ = rustix::io::write(&go_in, b"g");
        result = read_event(&mut results).ok().flatten();
    }
    let Some((letter @ (RUNS | WATCHED), program)) = result else {
        tell(&mut events, ENDED, result.map_or(125, |r| r.1));
        return 1;
    };
    close_all_but([events.as_raw_fd(), gate.as_raw_fd()]);
    // The worker is gone before the program is announced, so that its parent is already us. One that stays is not its parent.
    if letter == RUNS {
        reap_worker(pid);
    }
    tell(&mut events, RUNS, program);
    // A program that has ended by now can still be found from outside, until it is reaped: the gate is closed when it has been.
    while matches!(rustix::io::read(gate, &mut byte), Ok(1..) | Err(rustix::io::Errno::INTR)) {}
    reap(program, events)
}

/// The first argument of a command of ours that is executed to be the init of a copy's namespace.
pub const AS_INIT: &CStr = c"cryo-init";

/// The same of one that is executed to be the parent of the orphans among a copy's processes (PR_SET_CHILD_SUBREAPER), where there is no namespace.
pub const AS_SUBREAPER: &CStr = c"cryo-subreaper";

/// Is either what this process was executed for? Then this is its exit status, when nothing is left of the copy. Its second argument is the program's pid as
/// it sees it, its standard input who wants to know what becomes of it.
pub fn executed_as_init() -> Option<i32> {
    let mut arguments = std::env::args_os();
    let named = arguments.next()?;
    let is = |name: &CStr| named.as_bytes() == name.to_bytes();
    let name = if is(AS_INIT) && rustix::process::getpid() == rustix::process::Pid::INIT {
        AS_INIT
    } else if is(AS_SUBREAPER) && matches!(rustix::process::child_subreaper(), Ok(Some(_))) {
        AS_SUBREAPER
    } else {
        return None;
    };
    let program = arguments.next()?.to_str()?.parse().ok()?;
    let _ = rustix::thread::set_name(name);
    let events = File::from(rustix::io::dup(rustix::stdio::stdin()).ok()?);
    let own = events.as_raw_fd();
    close_all_but([own, own]);
    Some(reap(program, events))
}

/// Puts the namespace's own /proc in the place of the one of outside, for us and who comes after us.
pub(super) fn own_proc() -> io::Result<()> {
    // In a chroot there is no mount at /; nothing is then passed on that should not.
    let _ = mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE);
    Ok(mount("proc", "/proc", "proc", MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC, None)?)
}

fn reap_worker(pid: i32) {
    let _ = signals::wait_child(pid);
}

fn close_all_but(fds: [i32; 2]) {
    let (low, high) = (fds[0].min(fds[1]), fds[0].max(fds[1]));
    // SAFETY: numbers only; nothing in this process uses the closed descriptors any more. An empty range is refused, and that is
    // all. Without a working directory no file system is kept busy.
    unsafe {
        libc::syscall(libc::SYS_close_range, 0, low - 1, 0);
        libc::syscall(libc::SYS_close_range, low + 1, high - 1, 0);
        libc::syscall(libc::SYS_close_range, high + 1, u32::MAX, 0);
        libc::chdir(c"/".as_ptr());
    }
}

/// Waits for everything that ends in the namespace, until nothing is left; the namespace then ends with us.
fn reap(program: i32, mut events: File) -> i32 {
    let mut ended = false;
    loop {
        let mut status = 0;
        // SAFETY: the kernel writes one int.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WUNTRACED | libc::__WALL) };
        if pid < 0 {
            if io::Error::last_os_error().raw_os_error() == Some(libc::EINTR) {
                continue;
            }
            return 0;
        }
        if pid != program || ended {
            continue;
        }
        if libc::WIFSTOPPED(status) {
            tell(&mut events, STOPPED, libc::WSTOPSIG(status));
        } else {
            // The pipe stays open: who waits for the others, too, hears of our own end.
            ended = true;
            tell(&mut events, ENDED, Ended::of(status).code());
        }
    }
}

/// Makes all capabilities that we have in our namespace ambient, so that an exec as an ordinary user keeps them. What the program is given in the end
/// is another matter (`drop_capabilities` in the thawer).
fn keep_capabilities() {
    let Ok(sets) = rustix::thread::capabilities(None) else { return };
    let sets = CapabilitySets { inheritable: sets.permitted, ..sets };
    // What lacks of them is missed by whoever needs it, and named there.
    let _ = rustix::thread::set_capabilities(None, sets);
    for capability in (0..u64::BITS).map(|n| CapabilitySet::from_bits_retain(1 << n) & sets.permitted) {
        let _ = rustix::thread::configure_capability_in_ambient_set(capability, true);
    }
}
