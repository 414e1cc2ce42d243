//! A thread of ours that is like a process that is frozen, of which that one asks: see [`super::landlock`].

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use cryo_tracee::proc::Status;
use rustix::process::{dumpable_behavior, set_dumpable_behavior};
use rustix::thread::{CapabilitySet, Gid, Uid, capabilities, set_capabilities, set_thread_res_gid, set_thread_res_uid};

use super::machine::{Machine, index};

/// The thread of ours. Dropping it ends it.
pub struct Witness {
    /// Its id.
    pub tid: i32,
    uid: u32,
    gid: u32,
    /// Capabilities of whom it was made for, and its own.
    permitted: u64,
    capabilities: u64,
    work: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Witness {
    /// One for the process with this status and these namespaces, and of those that are there already one that is like it. None where it could prove nothing: it cannot be seen from
    /// the namespaces of the process, or not be like it.
    pub fn of<'w>(
        status: &Status,
        namespaces: &[Vec<u8>],
        machine: &Machine,
        mut others: impl Iterator<Item = &'w Arc<Self>>,
    ) -> Option<Arc<Self>> {
        let ours = |kind| namespaces.get(index(kind)?).filter(|theirs| machine.namespace(kind) == Some(theirs));
        ours("user")?;
        ours("pid")?;
        // The real ids are those that count.
        let (uid, gid) = (status.ids("Uid")[0], status.ids("Gid")[0]);
        let permitted = status.hex("CapPrm");
        if let Some(witness) = others.find(|w| (w.uid, w.gid, w.permitted) == (uid, gid, permitted)) {
            return Some(Arc::clone(witness));
        }
        let (here, is_here) = channel();
        let (work, end) = channel::<()>();
        let thread = std::thread::spawn(move || {
            // Each stop of a tracee is told by a SIGCHLD, and would wake it.
            cryo_tracee::signals::hold();
            let _ = here.send(disguise(uid, gid, permitted).ok());
            let _ = end.recv();
        });
        let (tid, capabilities) = is_here.recv().ok().flatten()?;
        Some(Arc::new(Self { tid, uid, gid, permitted, capabilities, work: Some((work, thread)) }))
    }

    /// Would a thread of these credentials be allowed to trace it, if nothing else forbids it?
    pub fn is_like(&self, status: &Status) -> bool {
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
