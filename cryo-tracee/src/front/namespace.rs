//! A pid namespace of one's own, in which a program finds the ids it had, however often it is thawed and without any privilege.
//!
//! Until the program runs, the end of the command is the end of all three ([`enter`]); from then on it lives for itself.
//!
//! Three processes: we, who stay outside and wait; an init (pid 1 of the namespace), which does nothing but reap; and a worker, which does the
//! thaw inside, where it may choose ids, and then ends, so that the program becomes init's child. Init tells us over a pipe what happens.
//!
//! A copy of a template has no worker: its init is made by the template, makes the program, and then executes our own command to be what the others are
//! ([`executed_as_init`]). Without a namespace such a process stands above a copy whose last process is waited for.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::error::{Context, refuse};
use crate::family::children;
use crate::host::CloneArgs;
use crate::proc::Status;
use crate::signals;
use crate::{Error, Refusal, RefusalKind, Result};

mod init;

pub use init::{AS_INIT, AS_SUBREAPER, executed_as_init};
use init::{be_init, own_proc};

/// comm of our inits: cryo-freeze knows by it that a namespace is one of ours.
pub const INIT: &str = "cryo-init";

/// linux/capability.h.
const CAP_SYS_ADMIN: u32 = 21;

/// A namespace with a program in it.
pub struct Namespace {
    /// Init, as seen from here.
    pub init: i32,
    /// The program, as seen from here.
    pub pid: i32,
    events: File,
}

/// What init tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The program was stopped by this signal of job control.
    Stopped(i32),
    /// The program ended, with this exit code in the shell's manner (128+n for a signal).
    Ended(i32),
}

/// Where the work inside stands when the program is ready, and waits for the word to let it run.
pub struct Start {
    ready: File,
    go: OwnedFd,
}

/// What came of the work inside: the program runs.
pub struct Runs {
    /// Its pid there.
    pub pid: i32,
    /// What the worker does from then on, if it stays (its exit status comes of it): the program is not its child, then.
    pub stay: Option<Box<dyn FnOnce() -> i32>>,
}

impl Start {
    /// The program is ready. Returns when it may run: nothing may fail any more. An error if the command is gone.
    pub fn wait(&mut self) -> Result<()> {
        tell(&mut self.ready, READY, 0);
        let mut byte = [0];
        match rustix::io::read(&self.go, &mut byte) {
            Ok(1) => {
                // The command may end from here on.
                end_with_parent(false);
                Ok(())
            }
            _ => refuse(RefusalKind::Internal, "the command has ended"),
        }
    }

    /// Does the work, tells what came of it, and stays if that is wanted. Returns the worker's exit status.
    fn work(mut self, work: impl FnOnce(&mut Self) -> std::result::Result<Runs, i32>) -> i32 {
        let (letter, number, stay) = match work(&mut self) {
            Ok(Runs { pid, stay: None }) => (RUNS, pid, None),
            Ok(Runs { pid, stay }) => (WATCHED, pid, stay),
            Err(code) => (ENDED, code, None),
        };
        tell(&mut self.ready, letter, number);
        drop(self);
        stay.map_or(0, |stay| stay())
    }
}

/// Has a process beside us do the work, and returns the program's pid, or an exit code for us. As in [`enter`], it waits at its [`Start`], the end of the command is
/// its end until then, and we block all signals. It is to stay; the program is to be its sibling, our child.
pub fn beside(
    work: impl FnOnce(&mut Start) -> std::result::Result<Runs, i32>,
) -> Result<std::result::Result<i32, i32>> {
    crate::proc::one_thread("starting a process beside us")?;
    let ((result_out, result_in), (go_out, go_in)) = (pipe()?, pipe()?);
    let worker = fork(0, None).map_err(|e| Error::sys("starting a process beside us", e))?;
    if worker == 0 {
        drop((result_out, go_in));
        end_with_parent(true);
        let start = Start { ready: File::from(result_in), go: go_out };
        // Whoever has ended by now hears of nothing.
        let code = if closed(&start.ready) { 1 } else { start.work(work) };
        // SAFETY: ends this process.
        unsafe { libc::_exit(code) };
    }
    drop((result_in, go_out));
    match let_run(&mut File::from(result_out), &go_in)? {
        Some((RUNS | WATCHED, program)) => Ok(Ok(program)),
        other => {
            let _ = signals::wait_child(worker);
            match other {
                Some((ENDED, code)) => Ok(Err(code)),
                _ => refuse(RefusalKind::Internal, "the process that thawed the program has ended"),
            }
        }
    }
}

fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    pipe_with(PipeFlags::CLOEXEC).about(|| "making a pipe".into())
}

/// Hears what has come of the work; of a program that is ready, when it was let run, with all our signals blocked.
fn let_run(events: &mut File, gate: &OwnedFd) -> Result<Option<(u8, i32)>> {
    let event = read_event(events)?;
    let Some((READY, _)) = event else { return Ok(event) };
    signals::hold();
    rustix::io::write(gate, b"g").about(|| "letting the program run".into())?;
    read_event(events)
}

/// Makes a namespace and runs `work` inside; it returns the program's pid there, or an exit code for us. `worker` is the pid that the worker
/// shall have, one that the image does not use.
///
/// `work` waits at its [`Start`] before it lets the program run. Until we have answered, the kernel kills init when we end, and with init all that is
/// in the namespace. Before we answer we block all signals: from then on they are the program's (see [`crate::foreground`]).
pub fn enter(
    worker: i32,
    work: impl FnOnce(&mut Start) -> std::result::Result<Runs, i32>,
) -> Result<std::result::Result<Namespace, i32>> {
    let ((gate_out, gate_in), (events_out, events_in)) = (pipe()?, pipe()?);
    let init = fork_init()?;
    if init == 0 {
        drop((gate_in, events_out));
        let code = be_init(worker, work, &gate_out, events_in);
        // SAFETY: ends this process.
        unsafe { libc::_exit(code) };
    }
    drop((gate_out, events_in));
    map_ids(init)?;
    rustix::io::write(&gate_in, b"g").about(|| "releasing the namespace's init".into())?;
    let mut events = File::from(events_out);
    match let_run(&mut events, &gate_in)? {
        Some((RUNS, inner)) => {
            let pid = outside(init, inner).ok_or(Error::Died(inner))?;
            drop(gate_in);
            Ok(Ok(Namespace { init, pid, events }))
        }
        Some((ENDED, code)) => {
            let _ = signals::wait_child(init);
            Ok(Err(code))
        }
        Some((letter @ (NO_PROC | NO_PID), errno)) => {
            let _ = signals::wait_child(init);
            Err(lacking(letter, errno))
        }
        _ => {
            let _ = signals::wait_child(init);
            refuse(RefusalKind::Internal, "the namespace's init ended before the program was thawed")
        }
    }
}

impl Namespace {
    /// Of a program that was made elsewhere, with who tells of it. Of its init nothing is known.
    pub fn told_of(pid: i32, events: File) -> Self {
        Self { init: 0, pid, events }
    }

    /// The next thing that happens to the program. `None` if init is gone.
    pub fn event(&mut self) -> Result<Option<Event>> {
        Ok(match read_event(&mut self.events)? {
            Some((STOPPED, signal)) => Some(Event::Stopped(signal)),
            Some((_, code)) => Some(Event::Ended(code)),
            None => None,
        })
    }

    /// The processes in it with these pids there, as seen from here.
    pub fn outside(&self, inner: &[i32]) -> Vec<i32> {
        let mut all = vec![self.init];
        let mut next = 0;
        while let Some(parent) = all.get(next) {
            all.extend(children(*parent));
            next += 1;
        }
        let there = |pid: &i32| Status::of(*pid).ok()?.inner("NSpid");
        all.retain(|pid| there(pid).is_some_and(|pid| inner.iter().any(|inner| *inner as u64 == pid)));
        all
    }

    /// Readable when there is an event.
    pub fn events(&self) -> &File {
        &self.events
    }
}

/// The program is ready, and waits for the word to run.
pub const READY: u8 = b'R';
/// The program runs; its pid.
pub const RUNS: u8 = b'P';
/// The program was stopped; by which signal.
pub const STOPPED: u8 = b'S';
/// The program has ended, or could not be thawed; the exit code.
pub const ENDED: u8 = b'E';
/// The same of one that is watched by who made it.
const WATCHED: u8 = b'W';
/// There is no program, as who was to make it has said by now; the exit code.
pub const FAILED: u8 = b'F';
/// There can be no /proc of the namespace.
const NO_PROC: u8 = b'M';
/// No process can choose its pid in it.
const NO_PID: u8 = b'N';

/// What a namespace lacks in which no program can be thawed, as it is told from inside.
fn lacking(letter: u8, errno: i32) -> Error {
    let e = io::Error::from_raw_os_error(errno);
    let text = match letter {
        // mount_namespaces(7): who is in a container sees no more through a /proc of his own than the container shows.
        NO_PROC => {
            format!("a pid namespace could have no /proc of its own here, where parts of /proc are hidden ({e})")
        }
        _ => format!("no process may choose its pid in a namespace of its own ({e})"),
    };
    Refusal::new(RefusalKind::Namespace, text).into()
}

/// Reads what was [told](tell): a letter and a number. `None` if nobody tells any more.
pub fn read_event(from: &mut File) -> Result<Option<(u8, i32)>> {
    let mut raw = [0; 5];
    match from.read_exact(&mut raw) {
        Ok(()) => Ok(Some((raw[0], i32::from_le_bytes([raw[1], raw[2], raw[3], raw[4]])))),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(e) => Err(Error::sys("reading from the namespace's init", e)),
    }
}

/// Tells one of the letters above and its number.
pub fn tell(to: &mut File, letter: u8, number: i32) {
    let n = number.to_le_bytes();
    // If nobody listens any more (--detach), nobody wants to know.
    let _ = to.write_all(&[letter, n[0], n[1], n[2], n[3]]);
}

/// Can there be such a namespace here? Asked by making one, in which a process chooses its pid: what forbids it (a limit, a sysctl, the filter of a
/// container, or AppArmor, which lets it be made and gives no rights in it) cannot be told in advance.
pub fn check() -> Result<()> {
    let (gate_out, gate_in) = pipe_with(PipeFlags::CLOEXEC).about(|| "making a pipe".into())?;
    let (events_out, events_in) = pipe_with(PipeFlags::CLOEXEC).about(|| "making a pipe".into())?;
    let init = fork_init()?;
    if init == 0 {
        drop(gate_in);
        let mut byte = [0];
        if matches!(rustix::io::read(&gate_out, &mut byte), Ok(1)) {
            let number = |e: io::Error| e.raw_os_error().unwrap_or(libc::EPERM);
            let (letter, errno) = match own_proc() {
                Err(e) => (NO_PROC, number(e)),
                Ok(()) => (NO_PID, fork(0, Some(2)).map_or_else(number, |_| 0)),
            };
            tell(&mut File::from(events_in), letter, errno);
        }
        // SAFETY: ends this process, and in it the other one that it has made.
        unsafe { libc::_exit(0) };
    }
    drop((gate_out, events_in));
    let mapped = map_ids(init);
    if mapped.is_ok() {
        rustix::io::write(&gate_in, b"g").about(|| "releasing the namespace's init".into())?;
    }
    drop(gate_in);
    let told = read_event(&mut File::from(events_out));
    signals::wait_child(init)?;
    mapped?;
    match told? {
        Some((_, 0)) => Ok(()),
        Some((letter, errno)) => Err(lacking(letter, errno)),
        None => refuse(RefusalKind::Internal, "the namespace's init ended before it was asked"),
    }
}

/// May a process of ours have this pid here? Asked by making one.
pub fn may_choose(pid: i32) -> io::Result<()> {
    match fork(0, Some(pid))? {
        // SAFETY: ends this process.
        0 => unsafe { libc::_exit(0) },
        child => signals::wait_child(child).map(drop).map_err(io::Error::other),
    }
}

/// fork(2) into new namespaces, or with a pid of our choice. The child may only do what one of several threads may, and has to end by _exit(2).
fn fork(flags: i32, pid: Option<i32>) -> io::Result<i32> {
    let set_tid = [pid.unwrap_or(0)];
    let args = CloneArgs {
        flags: flags as u64,
        exit_signal: libc::SIGCHLD as u64,
        set_tid: if pid.is_some() { set_tid.as_ptr() as u64 } else { 0 },
        set_tid_size: u64::from(pid.is_some()),
        ..CloneArgs::default()
    };
    // SAFETY: without CLONE_VM this is fork(2), and we have one thread.
    match unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<CloneArgs>()) } {
        -1 => Err(io::Error::last_os_error()),
        child => Ok(child as i32),
    }
}

/// Who lacks CAP_SYS_ADMIN needs a user namespace for the others.
fn needs_user_namespace() -> bool {
    Status::of(std::process::id() as i32).is_ok_and(|s| s.hex("CapEff") >> CAP_SYS_ADMIN & 1 == 0)
}

/// Flags of clone(2) for the first process of such a namespace.
pub fn flags() -> i32 {
    let user = if needs_user_namespace() { libc::CLONE_NEWUSER } else { 0 };
    libc::CLONE_NEWPID | libc::CLONE_NEWNS | user
}

/// Makes the namespaces with a first process in it; 0 in that process.
fn fork_init() -> Result<i32> {
    crate::proc::one_thread("making a pid namespace")?;
    let flags = flags();
    let user = flags & libc::CLONE_NEWUSER;
    fork(flags, None).map_err(|e| {
        let (whole, limit) = if user == 0 {
            ("a pid namespace", "")
        } else {
            ("a pid and a user namespace", "user.max_user_namespaces, ")
        };
        let way = match e.raw_os_error() {
            // Also what a limit of 0 gives (namespaces(7)).
            Some(libc::ENOSPC | libc::EUSERS) => {
                format!("too many of them: raise {limit}user.max_pid_namespaces (sysctl)")
            }
            Some(libc::EPERM) => {
                "not allowed here: kernel.unprivileged_userns_clone, a security module or the container forbids it"
                    .into()
            }
            _ => e.to_string(),
        };
        Refusal::new(RefusalKind::Namespace, format!("{whole} cannot be made: {way}")).into()
    })
}

/// uid and gid mapped to themselves in a user namespace that was made for the process `init`, if one was; user_namespaces(7) lets an ordinary user do this for itself once
/// setgroups(2) is given up.
pub fn map_ids(init: i32) -> Result<()> {
    if !needs_user_namespace() {
        return Ok(());
    }
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    for (file, text) in
        [("setgroups", "deny".to_owned()), ("uid_map", format!("{uid} {uid} 1")), ("gid_map", format!("{gid} {gid} 1"))]
    {
        let path = format!("/proc/{init}/{file}");
        std::fs::write(&path, text).about(|| format!("writing {path}"))?;
    }
    Ok(())
}

/// The child of init that is `inner` for its namespace, as seen from here.
fn outside(init: i32, inner: i32) -> Option<i32> {
    let mut all = std::fs::read_dir("/proc").ok()?.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok());
    all.find(|pid: &i32| {
        Status::of(*pid).is_ok_and(|s| s.number("PPid") == Some(init as u64) && s.inner("NSpid") == Some(inner as u64))
    })
}

/// Shall the kernel kill us when the command ends? (To the init of a namespace a SIGKILL from outside is one.)
fn end_with_parent(yes: bool) {
    let _ = rustix::process::set_parent_process_death_signal(yes.then_some(rustix::process::Signal::KILL));
}

/// Has everybody at the other end of this pipe gone?
fn closed(pipe: impl AsFd) -> bool {
    let mut end = [PollFd::new(&pipe, PollFlags::empty())];
    poll(&mut end, Some(&Timespec::default())).is_ok_and(|n| n > 0)
}
