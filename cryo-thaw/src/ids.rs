//! Which ids the program gets.
//!
//! The C library keeps thread ids in memory (pthread_kill, recursive, robust and PI mutexes), so a program of several threads needs the ones that it
//! had. Where they are free and we may choose ids, it gets them here; else in a pid namespace of its own, where all are free and an ordinary
//! user may choose.

use std::collections::HashSet;

use cryo_format::section::actions::Actions;
use cryo_format::section::process::Process;
use cryo_format::section::terminal::Terminal;
use cryo_format::section::thread::Thread;
use cryo_tracee::Host;
use cryo_tracee::proc::Status;

use crate::Result;
use crate::error::{refuse, say};
use crate::ice::Ice;
use crate::options::Pid;
use crate::restore::clocks;

/// CAP_SYS_ADMIN and CAP_CHECKPOINT_RESTORE allow to choose ids (clone(2), set_tid).
const MAY_CHOOSE: u64 = 1 << 21 | 1 << 40;

/// CAP_SYS_ADMIN.
const ADMIN: u64 = 1 << 21;

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ids {
    /// The same, here.
    Same,
    /// New ones, here.
    New,
    /// The same, in a namespace of its own; the worker there takes this pid, which the program does not use.
    Namespace(i32),
}

/// Decides, and says so on stderr where it is not simply the same.
pub fn decide(ice: &Ice, wanted: Pid) -> Result<Ids> {
    let (_, process) = ice.process()?;
    let tids: Vec<u64> = ice.all::<Thread>().map(|(_, t)| t.tid).collect();
    let used: HashSet<u64> = tids.iter().copied().chain([process.pid]).collect();
    let worker = (2..i32::MAX).find(|n| !used.contains(&(*n as u64))).unwrap_or(2);
    match wanted {
        Pid::New => {
            if tids.len() > 1 {
                say(&format!(
                    "new ids for {} threads: calls that take the id of another thread (pthread_kill, robust and PI mutexes) will fail",
                    tids.len()
                ));
            }
            return Ok(Ids::New);
        }
        Pid::Namespace => return Ok(Ids::Namespace(worker)),
        Pid::Same | Pid::Auto => {}
    }
    // Clocks that must not go back are an obstacle only for who may not make a time namespace; a user namespace allows that.
    let behind = clocks::behind(ice).filter(|_| wanted == Pid::Auto && !capable(ADMIN));
    let behind = behind.map(|b| format!("this machine's CLOCK_MONOTONIC is {} behind the program's", clocks::words(b)));
    let keeps_clocks = behind.is_some();
    let Some(obstacle) = behind.or_else(|| obstacle(process, &tids)) else { return Ok(Ids::Same) };
    if wanted == Pid::Same {
        return refuse(format!("{obstacle}: use --pid auto, new or namespace"));
    }
    if tids.len() == 1 && !keeps_clocks && !does_job_control(ice, process) {
        say(&format!("{obstacle}: the program goes on with a new pid"));
        return Ok(Ids::New);
    }
    say(&format!(
        "{obstacle}: the program goes on with the same ids in a pid namespace of its own; it sees only its own processes, and its pid \
         is another from outside"
    ));
    Ok(Ids::Namespace(worker))
}

/// An interactive shell keeps the number of its own process group, to which it gives the terminal back after each command. Known by that it leads
/// its group on a terminal and ignores SIGTTOU.
fn does_job_control(ice: &Ice, process: &Process) -> bool {
    let ignores = |a: &Actions| a.actions.iter().any(|a| a.signal == libc::SIGTTOU as u32 && a.handler.0 == 1);
    let terminal = ice.all::<Terminal>().any(|(_, t)| t.foreground != 0);
    terminal && process.pid == process.pgid && ice.all::<Actions>().any(|(_, a)| ignores(a))
}

/// Why the ids cannot be had here.
fn obstacle(process: &Process, tids: &[u64]) -> Option<String> {
    let taken = |id: &u64| std::path::Path::new(&format!("/proc/{id}")).exists();
    if let Some(id) = tids.iter().find(|t| taken(t)) {
        let what = if *id == process.pid { "pid" } else { "thread id" };
        return Some(format!("{what} {id} is taken"));
    }
    (!capable(MAY_CHOOSE)).then(|| format!("pid {} may be chosen only with CAP_CHECKPOINT_RESTORE", process.pid))
}

/// Have we one of these capabilities?
fn capable(of: u64) -> bool {
    Status::of(std::process::id() as i32).is_ok_and(|s| s.hex("CapEff") & of != 0)
}

/// In a namespace of its own the host could choose ids; the program shall not find itself with powers that it never had. (As root it had them.)
pub fn drop_capabilities(host: &mut Host, i: usize) -> Result<()> {
    let status = Status::of(host.thread_at(i)?.tid())?;
    if status.ids("Uid")[1] == 0 {
        return Ok(());
    }
    let mut remote = host.remote_at(i)?;
    let mut batch = remote.batch();
    batch.call(libc::SYS_prctl, &[libc::PR_CAP_AMBIENT as u64, libc::PR_CAP_AMBIENT_CLEAR_ALL as u64, 0, 0, 0]);
    let header = batch.put(&[0x2008_0522_u32.to_le_bytes(), 0_u32.to_le_bytes()].concat());
    let none = batch.space(24);
    batch.call(libc::SYS_capset, &[header.addr, none.addr]);
    Ok(remote.run(batch)?.all()?)
}
