//! What every socket of `INET` has.

use cryo_format::prim::List;
use cryo_format::section::inet::{Inet, Membership};
use cryo_format::socket::InetAddress;
use cryo_tracee::sockets as kernel;

use super::description::Cx;
use super::socket::{self, Socket, way};
use super::{RefusalKind, refuse};
use crate::Result;

const AF_INET: u32 = libc::AF_INET as u32;
const AF_INET6: u32 = libc::AF_INET6 as u32;
const MCAST_MSFILTER: u32 = 48;

/// What every internet socket has.
pub fn section(cx: &mut Cx<'_>, s: &Socket<'_>, except: &[(u32, u32)]) -> Result<Inet> {
    Ok(Inet {
        family: s.family,
        kind: s.kind,
        protocol: s.protocol,
        open_flags: s.open_flags(),
        local: InetAddress::from_sockaddr(&kernel::local(&s.fd)?),
        remote: kernel::remote(&s.fd)?.map(|a| InetAddress::from_sockaddr(&a)).unwrap_or_default(),
        options: socket::options(cx, s, except)?,
        filter: socket::filter(s)?,
        groups: groups(cx, s)?,
        ..Inet::default()
    })
}

/// The multicast groups of a socket, found by asking it for each group that the machine listens to.
fn groups(cx: &mut Cx<'_>, s: &Socket<'_>) -> Result<List<Membership>> {
    if s.kind as i32 == libc::SOCK_STREAM {
        return Ok(List::default());
    }
    let mut joined = Vec::new();
    for m in cx.sockets.groups(cx.of(s.d.first()).live_tid) {
        let level = if m.family == AF_INET { libc::IPPROTO_IP } else { libc::IPPROTO_IPV6 };
        if m.family == AF_INET6 && s.family == AF_INET {
            continue;
        }
        let Ok(answer) = kernel::ask(&s.fd, level as u32, MCAST_MSFILTER, &question(m), 4096) else { continue };
        let word = |at: usize| answer.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u32::from_le_bytes(*b));
        // Mode (1: all but these sources) and their number follow the interface, padded to 8 bytes, and the group, 128 bytes.
        if (word(136), word(140)) != (0, 0) {
            return refuse(
                RefusalKind::Socket,
                format!(
                    "{}: it has joined a multicast group for certain sources, which is not carried: {}",
                    s.name(),
                    way(s)
                ),
            );
        }
        joined.push(m.clone());
    }
    Ok(joined.into())
}

/// `struct group_filter` with room for no source.
fn question(m: &Membership) -> Vec<u8> {
    let mut q = m.interface.to_le_bytes().to_vec();
    q.resize(8, 0);
    q.extend(m.group.sockaddr(m.family));
    q.resize(144, 0);
    q
}
