//! What every socket of `INET` has.

use cryo_format::prim::List;
use cryo_format::section::inet::{Inet, Membership};
use cryo_format::socket::{InetAddress, SocketOption};
use cryo_tracee::sockets as kernel;

use super::description::Cx;
use super::socket::{self, Socket, way};
use super::{RefusalKind, refuse};
use crate::Result;

const AF_INET: u32 = libc::AF_INET as u32;
const AF_INET6: u32 = libc::AF_INET6 as u32;
const MCAST_MSFILTER: u32 = 48;
const FREEBIND: (u32, u32) = (libc::IPPROTO_IP as u32, libc::IP_FREEBIND as u32);
const FREEBIND6: (u32, u32) = (libc::IPPROTO_IPV6 as u32, 78);
/// What lets a socket have an address that is not the machine's; the last two are IP_TRANSPARENT and IPV6_TRANSPARENT.
const ANY_ADDRESS: [(u32, u32); 4] =
    [FREEBIND, FREEBIND6, (libc::IPPROTO_IP as u32, 19), (libc::IPPROTO_IPV6 as u32, 75)];

/// What every internet socket has.
pub fn section(cx: &mut Cx<'_>, s: &Socket<'_>, except: &[(u32, u32)]) -> Result<Inet> {
    let local = InetAddress::from_sockaddr(&kernel::local(&s.fd)?);
    let mut options = socket::options(cx, s, except)?;
    let has = |o: &(u32, u32)| options.iter().any(|k| (k.level, k.name) == *o);
    if !ANY_ADDRESS.iter().any(has) && is_foreign(s, local)? {
        let (level, name) = if s.family == AF_INET { FREEBIND } else { FREEBIND6 };
        options.0.push(SocketOption { level, name, value: vec![0; 4].into() });
    }
    Ok(Inet {
        family: s.family,
        kind: s.kind,
        protocol: s.protocol,
        open_flags: s.open_flags(),
        local,
        remote: kernel::remote(&s.fd)?.map(|a| InetAddress::from_sockaddr(&a)).unwrap_or_default(),
        options,
        filter: socket::filter(s)?,
        groups: groups(cx, s)?,
        ..Inet::default()
    })
}

/// Is it bound to an address that this machine does not have? Then an option let it be, which is switched off by now.
fn is_foreign(s: &Socket<'_>, local: InetAddress) -> Result<bool> {
    if local.ip(s.family).is_unspecified() || local.ip(s.family).is_multicast() {
        return Ok(false);
    }
    let probe = kernel::socket(s.family, libc::SOCK_DGRAM as u32, 0)?;
    let any_port = InetAddress { port: 0, ..local };
    Ok(matches!(kernel::bind(&probe, &any_port.sockaddr(s.family)), Err(e) if e.errno() == Some(libc::EADDRNOTAVAIL)))
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
