//! Process groups of a family, when all are born.

use cryo_format::section::sessions::Sessions;

use super::{Births, in_namespace};
use crate::Result;
use crate::error::{Doing, RefusalKind, refuse};
use crate::foreground::Foreground;
use crate::plan::Who;
use crate::restore::sessions;
use crate::restore::table::Table;

impl<'a> Births<'a> {
    /// Puts the groups into the foregrounds of their sessions' terminals, when all have joined theirs.
    pub(super) fn foregrounds(&mut self, table: &Table<'a>) -> Result<()> {
        for session in self.ice.get::<Sessions>(0).map_or(&[][..], |s| &s.sessions) {
            let leader = self.prepared.members.iter().position(|m| m.process.pid == session.sid);
            // That of the leader is in the foreground.
            let other = (session.foreground != session.sid).then(|| self.group(session.foreground)).flatten();
            let (Some(leader), Some(group)) = (leader, other) else { continue };
            sessions::foreground(self.host(leader)?, table, session, in_namespace(group)?)?;
        }
        Ok(())
    }

    /// Who leads the process group of this number, or does so for the time being.
    fn group(&self, pgid: u64) -> Option<i32> {
        let leader = self.prepared.members.iter().position(|m| m.process.pid == pgid);
        let zombie = self.family_zombies().iter().position(|z| z.pid == pgid);
        let stands_in = self.stand_ins.iter().find(|(number, ..)| *number == pgid).map(|(_, host, _)| host.pid());
        let zombie = zombie.and_then(|i| self.zombies.get(&i)).map(|(host, _)| host.pid());
        leader.and_then(|i| Some(self.ready.hosts.get(i)?.0.pid())).or(zombie).or(stands_in)
    }

    /// The same, who must be there.
    pub(super) fn leader(&self, pgid: u64) -> Result<i32> {
        match self.group(pgid) {
            Some(leader) => Ok(leader),
            None => refuse(RefusalKind::Internal, format!("process group {pgid} has no leader")),
        }
    }

    /// Puts a process into the group of this number.
    pub(super) fn join(&mut self, who: Who, pgid: u64) -> Result<()> {
        let leader = self.leader(pgid)?;
        // Whether the root leads its own here is decided by where it runs.
        if pgid == self.prepared.members[0].process.pid && !self.root_leads()? {
            return Ok(());
        }
        let group = in_namespace(leader)?;
        let host = self.host_of(who)?;
        // Who leads a session here (--detach) leads its group, too, and may not ask for it.
        if host.call(libc::SYS_getpgid, [0; 6])? == group {
            return Ok(());
        }
        host.call(libc::SYS_setpgid, [0, group, 0, 0, 0, 0]).doing(|| format!("joining process group {pgid}"))?;
        Ok(())
    }

    /// Does the root lead its process group? If it shall do so, it begins to.
    fn root_leads(&mut self) -> Result<bool> {
        let leads = self.foreground.is_none_or(Foreground::leads);
        let host = self.host(0)?;
        let own = host.call(libc::SYS_getpid, [0; 6])?;
        if host.call(libc::SYS_getpgid, [0; 6])? == own {
            return Ok(true);
        }
        if leads {
            host.call(libc::SYS_setpgid, [0; 6]).doing(|| "making its process group".into())?;
        }
        Ok(leads)
    }
}
