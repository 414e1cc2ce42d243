//! `NTLK`: netlink sockets with nothing in their queue.

use cryo_format::prim::List;
use cryo_format::section::netlink::Netlink;
use cryo_tracee::sockets as kernel;

use super::description::Cx;
use super::socket::{self, Socket, in_list, way};
use super::{RefusalKind, refuse};
use crate::Result;

const SOL_NETLINK: u32 = libc::SOL_NETLINK as u32;
const NETLINK_LIST_MEMBERSHIPS: u32 = 9;

/// Adds it.
pub fn collect(cx: &mut Cx<'_>, s: &Socket<'_>) -> Result<bool> {
    let local = kernel::local(&s.fd)?;
    let word = |a: &[u8], at: usize| a.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u32::from_le_bytes(*b));
    let port = word(&local, 4);
    // What the kernel has said can be said again only by the kernel.
    if kernel::events(&s.fd)? & (libc::POLLIN | libc::POLLERR) != 0 || dumps(cx, s, port)? {
        if s.standard() {
            return Ok(false);
        }
        return refuse(
            RefusalKind::Busy,
            format!("{}: netlink messages wait in it, which are not carried: try again, or {}", s.name(), way(s)),
        );
    }
    let remote = kernel::remote(&s.fd)?.unwrap_or_default();
    let section = Netlink {
        kind: s.kind,
        protocol: s.protocol,
        open_flags: s.open_flags(),
        port,
        remote_port: word(&remote, 4),
        remote_groups: word(&remote, 8),
        reserved: 0,
        groups: groups(s)?,
        options: socket::options(cx, s, &[])?,
        filter: socket::filter(s)?,
    };
    cx.out.add(s.d.id, section);
    Ok(true)
}

/// The groups that it has joined: bit n of the list is group n + 1.
fn groups(s: &Socket<'_>) -> Result<List<u32>> {
    let mask = kernel::ask(&s.fd, SOL_NETLINK, NETLINK_LIST_MEMBERSHIPS, &[], 1024)?;
    Ok((0..mask.len() as u32 * 8)
        .filter(|bit| mask[*bit as usize / 8] >> (bit % 8) & 1 != 0)
        .map(|bit| bit + 1)
        .collect())
}

/// Is a list under way to it, of which more comes as it reads? (/proc/net/netlink: column 7, the last one is the inode.)
fn dumps(cx: &Cx<'_>, s: &Socket<'_>, port: u32) -> Result<bool> {
    let path = format!("/proc/{}/net/netlink", cx.of(s.d.first()).live_tid);
    let ino = s.ino().to_string();
    let dumps = |text: &str| {
        let mut lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let own = lines.find(|columns| columns.last() == Some(&ino.as_str()))?;
        Some(own.get(6) != Some(&"0"))
    };
    match in_list(&path, dumps)? {
        Some(dumps) => Ok(dumps),
        // One that is not bound is in no list, and nobody has asked through it.
        None if port == 0 => Ok(false),
        None => refuse(
            RefusalKind::Socket,
            format!("{} is of another network namespace, which is not carried: {}", s.name(), way(s)),
        ),
    }
}
