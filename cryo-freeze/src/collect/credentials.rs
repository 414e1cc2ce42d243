//! `CRED`: in whose name a thread acts, and with what powers.

use cryo_format::prim::Addr;
use cryo_format::section::credentials::Credentials;
use cryo_tracee::Batch;
use cryo_tracee::proc::Status;
use cryo_tracee::remote::{Done, Slot};

use crate::Result;

/// Questions to a thread about itself.
pub struct Questions {
    securebits: usize,
    parent_death_signal: (usize, Slot),
}

impl Questions {
    /// prctl(2).
    pub fn ask(batch: &mut Batch) -> Self {
        let securebits = batch.call(libc::SYS_prctl, &[libc::PR_GET_SECUREBITS as u64]);
        let slot = batch.space(4);
        let death = batch.call(libc::SYS_prctl, &[libc::PR_GET_PDEATHSIG as u64, slot.addr]);
        Self { securebits, parent_death_signal: (death, slot) }
    }
}

/// The credentials of a thread.
pub fn collect(status: &Status, q: &Questions, done: &Done) -> Result<Credentials> {
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
