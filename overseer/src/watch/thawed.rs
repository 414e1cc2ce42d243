//! A family that goes on from an image: what is known of it before it runs.

use cryo_format::section::actions::Actions;
use cryo_format::section::history::{History, Made};
use cryo_format::section::itimers::Itimers;
use cryo_format::section::process::Process;
use cryo_format::section::ptimers::Ptimers;
use cryo_format::section::thread::Thread;
use cryo_thaw::Handed;
use cryo_thaw::ice::Ice;
use cryo_tracee::proc::{self, Stat};

use super::lists::{Descriptor, Handler, Member, given};
use super::pids::Pids;
use super::record::{PathBytes, Timer};

/// What the image has of one of its processes.
pub struct Known {
    process: Process,
    history: History,
    actions: Actions,
    itimers: Itimers,
    ptimers: Ptimers,
    /// Its threads, the main thread first; without one that has exited.
    tids: Vec<i32>,
}

impl Known {
    /// Its pid in the image.
    pub fn pid(&self) -> u64 {
        self.process.pid
    }
}

/// What the image has, in the order of its processes.
pub fn known(ice: &Ice) -> Vec<Known> {
    let known = |(id, process): (u64, &Process)| Known {
        process: process.clone(),
        history: ice.get(id).cloned().unwrap_or_default(),
        actions: ice.get(id).cloned().unwrap_or_default(),
        itimers: ice.get(id).cloned().unwrap_or_default(),
        ptimers: ice.get(id).cloned().unwrap_or_default(),
        tids: tids(ice, id, process.pid),
    };
    ice.processes().into_iter().map(known).collect()
}

fn tids(ice: &Ice, id: u64, pid: u64) -> Vec<i32> {
    let threads = ice.all::<Thread>().map(|(_, thread)| thread);
    let mut tids: Vec<u64> = threads.filter(|t| t.process == id && t.exited == 0).map(|t| t.tid).collect();
    tids.sort_by_key(|tid| (*tid != pid, *tid));
    tids.into_iter().map(|tid| tid as i32).collect()
}

/// The numbers by which it knows itself, and those that it has now.
pub fn pids(known: &[Known], handed: &[Handed]) -> Pids {
    let mut pairs = Vec::new();
    for (known, handed) in known.iter().zip(handed) {
        let process = &known.process;
        pairs.push((process.pid as i32, handed.pid));
        pairs.extend(known.tids.iter().copied().zip(handed.tids.iter().copied()));
        pairs.extend(&handed.zombies);
    }
    // Groups and sessions whose leaders have ended, or are outside.
    for (known, handed) in known.iter().zip(handed) {
        let Ok(stat) = Stat::of(handed.pid) else { continue };
        for (seen, field) in [(known.process.pgid as i32, 5), (known.process.sid as i32, 6)] {
            if let Ok(kernel) = stat.field(field) {
                pairs.push((seen, kernel as i32));
            }
        }
    }
    let max = std::fs::read_to_string("/proc/sys/kernel/pid_max").ok().and_then(|text| text.trim().parse().ok());
    let pids = Pids::of(pairs);
    match max {
        Some(max) => pids.below(max),
        None => pids,
    }
}

/// The lists of its processes, which are thawed and stand still yet.
pub fn members(known: &[Known], handed: &[Handed]) -> Vec<Member> {
    let now = |pid: u64| known.iter().zip(handed).find(|(k, _)| k.process.pid == pid).map_or(0, |(_, h)| h.pid);
    known.iter().zip(handed).map(|(known, handed)| member(known, handed.pid, now(known.process.ppid))).collect()
}

fn member(known: &Known, pid: i32, parent: i32) -> Member {
    let mut member = Member { parent, program: PathBytes(known.process.exe.0.clone()), ..Member::new(pid) };
    for fd in proc::descriptors(pid).unwrap_or_default() {
        let given = given(pid, fd);
        // What took the place of another one (--fd) has another history.
        let same = |made: &&Made| made.fd as i32 == fd && made.kind[..] == *given.kind.as_bytes();
        let made = known.history.descriptors.iter().find(same).map(descriptor);
        member.descriptors.insert(fd, made.unwrap_or(given));
    }
    // SIG_DFL may be there for its flags.
    for action in known.actions.actions.iter().filter(|action| action.handler.0 != 0) {
        let handler = Handler { handler: action.handler.0, flags: action.flags.0, mask: action.mask.0 };
        member.handlers.insert(action.signal as i32, handler);
    }
    let intervals = known.itimers.timers.iter().map(|t| (Timer::Interval(t.which as i32), true));
    member.timers = known.ptimers.timers.iter().map(|t| (Timer::Posix(t.id as i32), t.value_ns != 0)).collect();
    member.timers.extend(intervals);
    member
}

fn descriptor(made: &Made) -> Descriptor {
    let path = |bytes: &[u8]| (!bytes.is_empty()).then(|| PathBytes(bytes.to_vec()));
    Descriptor {
        order: made.order,
        kind: String::from_utf8_lossy(&made.kind).into_owned(),
        path: path(&made.path),
        absolute: path(&made.absolute),
        renamed: made.names.iter().map(|name| PathBytes(name.0.clone())).collect(),
        flags: made.flags,
        mode: made.mode,
        from: (made.source >= 0).then_some(made.source as i32),
    }
}
