//! Landlock (landlock(7)): nobody can read the rules that a thread is restricted by. But whether there are any can be told: who is in a domain may not trace
//! who is outside (hook_ptrace_access_check), and get_robust_list(2) of another thread asks for the right to trace it, and no more than that.
//!
//! So there is a witness: a thread of ours with the ids and no more capabilities than the process has, of which each of its threads asks. Where this one
//! may not, while it may ask about itself (no seccomp filter forbids the call), it is restricted. Other security modules answer EACCES.

use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use cryo_tracee::Batch;
use cryo_tracee::proc::{self, Status};
use cryo_tracee::remote::Done;
use rustix::process::{dumpable_behavior, set_dumpable_behavior};
use rustix::thread::{CapabilitySet, Gid, Uid, capabilities, set_capabilities, set_thread_res_gid, set_thread_res_uid};

use super::machine::NAMESPACES;
use super::{Collected, RefusalKind, Scene, refuse};
use crate::Result;
use crate::options::Landlock;

/// The thread of ours. Dropping it ends it.
pub struct Witness {
    tid: i32,
    uid: u32,
    gid: u32,
    capabilities: u64,
    work: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Witness {
    /// One for this process. None where it could prove nothing: it cannot be seen from the namespaces of the process, or not be like it.
    pub fn of(scene: &Scene<'_>) -> Option<Self> {
        let ours = |name: &str| {
            let at = NAMESPACES.iter().position(|(ns, _)| *ns == name)?;
            Some(proc::link(scene.live_tid, &format!("ns/{name}")).ok()? == *scene.machine.namespaces.get(at)?)
        };
        if !(ours("user")? && ours("pid")?) {
            return None;
        }
        // The real ids are those that count.
        let (uid, gid) = (scene.status.ids("Uid")[0], scene.status.ids("Gid")[0]);
        let permitted = scene.status.hex("CapPrm");
        let (here, is_here) = channel();
        let (work, end) = channel::<()>();
        let thread = std::thread::spawn(move || {
            let _ = here.send(disguise(uid, gid, permitted).ok());
            let _ = end.recv();
        });
        let (tid, capabilities) = is_here.recv().ok().flatten()?;
        Some(Self { tid, uid, gid, capabilities, work: Some((work, thread)) })
    }

    /// Would a thread of these credentials be allowed to trace it, if nothing else forbids it?
    fn is_like(&self, status: &Status) -> bool {
        status.ids("Uid")[0] == self.uid
            && status.ids("Gid")[0] == self.gid
            && self.capabilities & !status.hex("CapPrm") == 0
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        if let Some((work, thread)) = self.work.take() {
            drop(work);
            let _ = thread.join();
        }
    }
}

/// Gives the calling thread, and no other of ours, these ids and of its capabilities only these. Returns its id and what capabilities it has.
fn disguise(uid: u32, gid: u32, permitted: u64) -> rustix::io::Result<(i32, u64)> {
    // The whole of us is dumpable no more when ids change, and then nobody of that user may trace us (PR_SET_DUMPABLE in prctl(2)).
    let dumpable = dumpable_behavior()?;
    let (gid, uid) = (Some(Gid::from_raw(gid)), Some(Uid::from_raw(uid)));
    let changed = set_thread_res_gid(gid, gid, gid).and_then(|()| set_thread_res_uid(uid, uid, uid));
    set_dumpable_behavior(dumpable)?;
    changed?;
    let mut sets = capabilities(None)?;
    sets.permitted &= CapabilitySet::from_bits_retain(permitted);
    (sets.effective, sets.inheritable) = (CapabilitySet::empty(), CapabilitySet::empty());
    set_capabilities(None, sets)?;
    Ok((rustix::thread::gettid().as_raw_nonzero().get(), sets.permitted.bits()))
}

/// Calls of a thread about itself and about the witness.
pub struct Question(Option<(usize, usize)>);

impl Question {
    /// get_robust_list(2).
    pub fn ask(batch: &mut Batch, witness: Option<&Witness>) -> Self {
        Self(witness.map(|witness| {
            let (head, len) = (batch.space(8), batch.space(8));
            let mut ask = |tid| batch.call(libc::SYS_get_robust_list, &[tid, head.addr, len.addr]);
            (ask(0), ask(witness.tid as u64))
        }))
    }
}

/// Are we perhaps in a domain ourselves? Whom the same one restricts may be traced by us, and may trace us, as if there were none.
fn ours_may_be_restricted() -> bool {
    static OURS: std::sync::LazyLock<bool> = std::sync::LazyLock::new(|| {
        Status::of(std::process::id() as i32).is_ok_and(|us| us.number("NoNewPrivs") == Some(1))
    });
    *OURS
}

/// Refuses or notes that thread `tid` is restricted, or notes that it may be.
pub fn check(
    scene: &Scene<'_>,
    tid: i32,
    status: &Status,
    witness: Option<&Witness>,
    q: &Question,
    done: &Done,
    out: &mut Collected,
) -> Result<()> {
    let process = || format!("process {}", scene.pid);
    let told = q.0.filter(|(itself, _)| witness.is_some_and(|w| w.is_like(status)) && done.result(*itself).is_ok());
    match told.map(|(_, other)| done.result(other)) {
        Some(Ok(_)) if !ours_may_be_restricted() => Ok(()),
        Some(Err(e)) if e.errno() == Some(libc::EPERM) => match scene.options.landlock {
            Landlock::Refuse => refuse(
                RefusalKind::Credentials,
                format!(
                    "thread {tid} of process {} is restricted by Landlock (landlock(7)), and nobody can read by which rules: use --landlock drop, and the \
                     thawed program is not restricted by them",
                    scene.pid
                ),
            ),
            Landlock::Drop => {
                out.note(process(), "restricted by Landlock: the thawed program is not (--landlock drop)");
                Ok(())
            }
        },
        // Whoever is not root can only be restricted with no_new_privs; with a seccomp filter that is what it was set for.
        _ if status.number("NoNewPrivs") == Some(1) && status.number("Seccomp") == Some(0) => {
            out.note(
                process(),
                "it has set no_new_privs, perhaps for Landlock, which could not be asked here: the thawed program is not restricted by it",
            );
            Ok(())
        }
        _ => Ok(()),
    }
}
