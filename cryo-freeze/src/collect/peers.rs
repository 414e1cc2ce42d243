//! `PEER`: who a unix socket says is at its other end.

use cryo_format::section::peers::Peer;
use cryo_tracee::sockets;

use super::description::Cx;
use super::process;
use super::socket::Socket;
use crate::Result;

/// Adds it for a socket that is connected or listens.
pub fn collect(cx: &mut Cx<'_>, s: &Socket<'_>) -> Result<()> {
    if let Some((pid, uid, gid)) = inner(cx, sockets::peer(&s.fd)?) {
        cx.out.add(s.d.id, Peer { pid, uid, gid });
    }
    Ok(())
}

/// A pid, user and group of SO_PEERCRED or SCM_CREDENTIALS with the pid as the processes of the image see it; none if they see none.
pub fn inner(cx: &Cx<'_>, (pid, uid, gid): (i32, u32, u32)) -> Option<(u64, u32, u32)> {
    process::pid_as_seen(cx.scenes.first()?, pid).map(|pid| (pid, uid, gid))
}
