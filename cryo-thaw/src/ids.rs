//! Which ids the program gets: the ones that it had, wherever that is possible.
//!
//! A program remembers its pid, and more often than one thinks: postgres compares it before every step, a loop of asyncio under another pid
//! believes to be a fork's, a shell gives the terminal to the process group of this number, the C library keeps thread ids in mutexes. Where
//! the ids are free and we may choose ids, it gets them here; else in a pid namespace of its own, where all are free and an ordinary user
//! may choose; only where that is forbidden, too, does it get new ones.

use std::collections::HashSet;

use cryo_format::section::family::Family;
use cryo_format::section::thread::Thread;
use cryo_tracee::Host;
use cryo_tracee::namespace;
use cryo_tracee::proc::Status;

use crate::Result;
use crate::error::{Doing, RefusalKind, refuse};
use crate::ice::Ice;
use crate::options::Pid;
use crate::restore::{clocks, credentials};

/// CAP_SYS_ADMIN.
const ADMIN: u64 = 1 << 21;
/// CAP_CHECKPOINT_RESTORE.
const CHECKPOINT_RESTORE: u64 = 1 << 40;

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

/// What was decided, and why it is not simply the same.
#[derive(Clone, Debug)]
pub struct Decision {
    /// Which ids.
    pub ids: Ids,
    /// Why it is not simply the same.
    pub why: Option<String>,
    /// What may go wrong with new ones, and what can be done about it.
    risk: Option<String>,
    /// Its own pid.
    pid: u64,
}

/// Decides.
pub fn decide(ice: &Ice, wanted: Pid) -> Result<Decision> {
    let (_, process) = ice.root()?;
    let zombies = ice.get::<Family>(0).map_or(&[][..], |f| &f.zombies);
    let processes = ice.processes();
    let pids: Vec<u64> = processes.iter().map(|(_, p)| p.pid).chain(zombies.iter().map(|z| z.pid)).collect();
    let threads = ice.all::<Thread>().map(|(_, t)| t.tid);
    let tids: Vec<u64> = threads.chain(zombies.iter().map(|z| z.pid)).collect();
    let groups = processes.iter().flat_map(|(_, p)| [p.pgid, p.sid]);
    let used: HashSet<u64> = tids.iter().copied().chain(groups).chain([process.pid]).collect();
    let worker = (2..i32::MAX).find(|n| !used.contains(&(*n as u64))).unwrap_or(2);
    let decision = |ids, why| Ok(Decision { ids, why, risk: None, pid: process.pid });
    let new = |why, risk: String| Ok(Decision { ids: Ids::New, why: Some(why), risk: Some(risk), pid: process.pid });
    match wanted {
        Pid::New if pids.len() > 1 => {
            let risk = "they know each other by the old ones (wait for a pid, kill)";
            return new(format!("new ids for {} processes", pids.len()), risk.into());
        }
        Pid::New if tids.len() > 1 => {
            let risk = "calls that take the id of another thread (pthread_kill, robust and PI mutexes) will fail";
            return new(format!("new ids for {} threads", tids.len()), risk.into());
        }
        Pid::New => return decision(Ids::New, None),
        Pid::Namespace => return decision(Ids::Namespace(worker), None),
        Pid::Same | Pid::Auto => {}
    }
    // Clocks that must not go back are an obstacle only for who may not make a time namespace; a user namespace allows that.
    let behind = clocks::behind(ice).filter(|_| wanted == Pid::Auto && !capable(ADMIN));
    let behind = behind.map(|b| format!("this machine's CLOCK_MONOTONIC is {} behind the program's", clocks::words(b)));
    let Some(obstacle) = behind.or_else(|| obstacle(&pids, &tids)) else { return decision(Ids::Same, None) };
    if wanted == Pid::Same {
        return refuse(RefusalKind::Ids, format!("{obstacle}: use --pid auto, namespace or new"));
    }
    match namespace::check() {
        Ok(()) => decision(Ids::Namespace(worker), Some(obstacle)),
        Err(e) => new(
            format!("{obstacle}, and {e}"),
            format!(
                "it has a new pid{}; one that remembers its pid (postgres, asyncio, a shell) goes wrong with that: use \
                 `overseer resume SET.freeze --pid translate`, which keeps the old one true, thaw it as root or where --pid same or --pid namespace is allowed, or \
                 say --pid new",
                if tids.len() > 1 { " and new thread ids" } else { "" }
            ),
        ),
    }
}

impl Decision {
    /// What was found, before there is a process.
    pub fn found(&self, ice: &Ice) -> String {
        let count = ice.processes().len() + ice.get::<Family>(0).map_or(0, |f| f.zombies.len());
        let which = if count == 1 {
            format!("pid {}", self.pid)
        } else {
            format!("pid {} and the others' ({count})", self.pid)
        };
        let found = match self.ids {
            Ids::Same => format!("{which}: free"),
            Ids::Namespace(_) => format!("{which} in a pid namespace of its own"),
            Ids::New => "new ones".to_owned(),
        };
        self.whole().map_or(found.clone(), |why| format!("{found}: {why}"))
    }

    /// The line for the person who thaws, when the program runs, as `pid` for us.
    pub fn words(&self, pid: i32) -> Option<String> {
        let why = self.why.as_ref()?;
        Some(match self.ids {
            Ids::Namespace(_) => format!(
                "{why}: it runs as pid {pid} here, and as its own pid {} in a pid namespace, where it sees only its own processes; a process \
                 cryo-init stands above it and ends with it (--pid new: a new pid instead)",
                self.pid
            ),
            _ => self.whole()?,
        })
    }

    fn whole(&self) -> Option<String> {
        let why = self.why.as_ref()?;
        Some(self.risk.as_ref().map_or_else(|| why.clone(), |risk| format!("{why}: {risk}")))
    }
}

/// Why the ids cannot be had here.
fn obstacle(pids: &[u64], tids: &[u64]) -> Option<String> {
    let taken = |id: &u64| std::path::Path::new(&format!("/proc/{id}")).exists();
    if let Some(id) = tids.iter().find(|t| taken(t)) {
        let what = if pids.contains(id) { "pid" } else { "thread id" };
        return Some(format!("{what} {id} is taken"));
    }
    let pid = pids.iter().copied().max().unwrap_or(0);
    let e = namespace::may_choose(i32::try_from(pid).unwrap_or(i32::MAX)).err()?;
    Some(match e.raw_os_error() {
        Some(libc::EPERM) => format!("choosing pid {pid} needs CAP_CHECKPOINT_RESTORE"),
        Some(libc::EEXIST) => format!("pid {pid} is taken"),
        Some(libc::EINVAL) => format!("pid {pid} is above this machine's /proc/sys/kernel/pid_max"),
        _ => format!("pid {pid} cannot be had ({e})"),
    })
}

/// May ids be chosen here (clone(2), set_tid), if they are free?
pub(crate) fn may_choose() -> bool {
    capable(ADMIN | CHECKPOINT_RESTORE)
}

/// Have we one of these capabilities?
fn capable(of: u64) -> bool {
    Status::of(std::process::id() as i32).is_ok_and(|s| s.hex("CapEff") & of != 0)
}

/// Has a host keep the capabilities that it has in a user namespace of its own when it executes something (capabilities(7)).
pub fn keep_capabilities(host: &mut Host) -> Result<()> {
    let permitted = Status::of(host.pid())?.hex("CapPrm");
    let mut batch = host.batch()?;
    credentials::capset(&mut batch, [permitted; 3]);
    credentials::raise_ambient(&mut batch, permitted);
    host.run(batch.continue_at_error())?;
    Ok(())
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
    credentials::capset(&mut batch, [0; 3]);
    remote.run(batch)?.all().doing(|| "giving up the capabilities that it never had".into())
}
