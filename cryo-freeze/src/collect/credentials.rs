//! `CRED`: in whose name a thread acts, and with what powers.

use cryo_format::prim::Addr;
use cryo_format::section::credentials::Credentials;
use cryo_tracee::Batch;
use cryo_tracee::proc::Status;
use cryo_tracee::remote::{Done, Slot};

use super::refuse;
use crate::Result;

const KEYCTL_GET_KEYRING_ID: u64 = 0;
const KEY_SPEC_THREAD_KEYRING: u64 = -1_i64 as u64;
const KEY_SPEC_PROCESS_KEYRING: u64 = -2_i64 as u64;

/// Questions to a thread about itself.
pub struct Questions {
    securebits: usize,
    parent_death_signal: (usize, Slot),
    keyrings: [usize; 2],
}

impl Questions {
    /// prctl(2); keyctl(2), which makes no keyring if there is none.
    pub fn ask(batch: &mut Batch) -> Self {
        let securebits = batch.call(libc::SYS_prctl, &[libc::PR_GET_SECUREBITS as u64]);
        let slot = batch.space(4);
        let death = batch.call(libc::SYS_prctl, &[libc::PR_GET_PDEATHSIG as u64, slot.addr]);
        let keyrings = [KEY_SPEC_THREAD_KEYRING, KEY_SPEC_PROCESS_KEYRING]
            .map(|keyring| batch.call(libc::SYS_keyctl, &[KEYCTL_GET_KEYRING_ID, keyring, 0]));
        Self { securebits, parent_death_signal: (death, slot), keyrings }
    }
}

/// The credentials of a thread.
pub fn collect(status: &Status, q: &Questions, done: &Done) -> Result<Credentials> {
    // ENOKEY, or keys are not allowed here at all.
    if q.keyrings.iter().any(|call| done.result(*call).is_ok()) {
        let tid = status.number("Pid").unwrap_or(0);
        return refuse(format!("thread {tid} has a keyring of its own (keyrings(7)), which cannot be carried"));
    }
    let set = |key| Addr(status.hex(key));
    let groups = status.text("Groups").unwrap_or_default().split_whitespace().filter_map(|g| g.parse().ok());
    done.result(q.parent_death_signal.0)?;
    Ok(Credentials {
        uid: status.ids("Uid"),
        gid: status.ids("Gid"),
        groups: groups.collect(),
        inheritable: set("CapInh"),
        permitted: set("CapPrm"),
        effective: set("CapEff"),
        bounding: set("CapBnd"),
        ambient: set("CapAmb"),
        securebits: done.result(q.securebits)? as u32,
        no_new_privs: u32::from(status.number("NoNewPrivs") == Some(1)),
        parent_death_signal: done.bytes(q.parent_death_signal.1).try_into().map_or(0, u32::from_le_bytes),
        reserved: 0,
    })
}
