//! `PEER`: who a unix socket says is at its other end. The kernel notes who makes the call, and so a process of that pid, user and group makes it: the host, or
//! one that is made for it and ends again.

use cryo_format::section::peers::Peer;
use cryo_tracee::Host;

use super::unix_socket::{Making, Us};
use crate::error::Doing;
use crate::{Error, Result};

/// Leave as it is.
const SAME: u64 = u32::MAX as u64;

impl Making<'_, '_, '_> {
    /// Has a call made by this process, if it is said by whom, and if that can be; else by the host.
    pub fn by<T>(&mut self, who: Option<&Peer>, mut call: impl FnMut(&mut Host) -> Result<T>) -> Result<T> {
        let Some(who) = who.filter(|who| who.pid != 0) else { return call(self.host) };
        let Us { own, root, old } = self.us;
        if own.0 != 0 && own != (who.uid, who.gid) {
            self.table.options.notes.add(format!(
                "unix sockets whose other end, or a message, came from user {} of group {} say now that it was user {} of group {}: only root may take on others",
                who.uid, who.gid, own.0, own.1
            ));
        }
        if who.pid == root {
            return as_user(self.host, own, who, call);
        }
        // Where the host has not got its old pid, nobody does.
        if old {
            let mut begun = false;
            let done = self.host.aside(Some(who.pid as i32), |maker| {
                begun = true;
                as_user(maker, own, who, &mut call)
            });
            match done {
                // Somebody has this pid, or it is none of ours to choose.
                Err(Error::Tracee(e))
                    if !begun && matches!(e.errno(), Some(libc::EEXIST | libc::EPERM | libc::EINVAL)) => {}
                done => return done,
            }
        }
        self.table.options.notes.add(format!(
            "unix sockets whose other end was made by process {} (SO_PEERCRED) say now that it was the root of the set: that pid cannot be had",
            who.pid
        ));
        as_user(self.host, own, who, call)
    }
}

/// The same with this user and group, if we may choose them.
fn as_user<T>(host: &mut Host, own: (u32, u32), who: &Peer, mut call: impl FnMut(&mut Host) -> Result<T>) -> Result<T> {
    if own == (who.uid, who.gid) || own.0 != 0 {
        return call(host);
    }
    let ids = |host: &mut Host, uid: u32, gid: u32, gid_first: bool| -> Result<()> {
        let mut batch = host.batch()?;
        let calls = [(libc::SYS_setresgid, gid), (libc::SYS_setresuid, uid)];
        let ordered = if gid_first { calls } else { [calls[1], calls[0]] };
        for (number, id) in ordered {
            // SO_PEERCRED tells the effective ids, SCM_CREDENTIALS the real ones. The saved ones lead back.
            batch.call(number, &[id.into(), id.into(), SAME]);
        }
        host.run(batch)?.all().doing(|| "taking the user of a socket".into())
    };
    ids(host, who.uid, who.gid, true)?;
    let done = call(host);
    ids(host, own.0, own.1, false)?;
    done
}
