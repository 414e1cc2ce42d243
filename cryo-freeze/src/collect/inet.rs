//! `INET`: sockets of UDP and TCP. What is particular to a connection is in `tcp`.

use cryo_format::section::inet::InetMessage;
use cryo_format::socket::InetAddress;
use cryo_tracee::sockets as kernel;

use super::description::Cx;
use super::inet_socket::section;
use super::socket::{self, Socket, way};
use super::{RefusalKind, raw, refuse, tcp};
use crate::Result;

const UDP_CORK: (u32, u32) = (libc::IPPROTO_UDP as u32, 1);
const IPPROTO_MPTCP: i32 = 262;

/// Adds it.
pub fn collect(cx: &mut Cx<'_>, s: &Socket<'_>) -> Result<bool> {
    match (s.kind as i32, s.protocol as i32) {
        (libc::SOCK_STREAM, libc::IPPROTO_TCP | IPPROTO_MPTCP) => tcp::collect(cx, s),
        (libc::SOCK_DGRAM, libc::IPPROTO_UDP | libc::IPPROTO_UDPLITE | libc::IPPROTO_ICMP | libc::IPPROTO_ICMPV6) => {
            datagrams(cx, s)
        }
        (libc::SOCK_RAW, _) => raw::collect(cx, s),
        (kind, protocol) => {
            let what = match (kind, protocol) {
                (_, libc::IPPROTO_SCTP) => "SCTP sockets".to_owned(),
                (_, other) => format!("sockets of protocol {other}"),
            };
            cx.why = Some(format!("{what} are not carried"));
            Ok(false)
        }
    }
}

fn datagrams(cx: &mut Cx<'_>, s: &Socket<'_>) -> Result<bool> {
    let mut section = section(cx, s, &[])?;
    let corked = section.options.iter().any(|o| (o.level, o.name) == UDP_CORK && o.number() != Some(0));
    if corked && kernel::unsent(&s.fd)? != 0 {
        return refuse(
            RefusalKind::Busy,
            format!("{}: a datagram is being put together in it (UDP_CORK): try again, or {}", s.name(), way(s)),
        );
    }
    let waiting = socket::messages(s)?;
    if kernel::events(&s.fd)? & libc::POLLERR != 0 {
        // To look at it is to take it (ip(7), IP_RECVERR; socket(7), SO_ERROR).
        cx.out.note(s.name(), "an error waits in it, which the thawed program does not see");
    }
    if !waiting.is_empty() && s.protocol as i32 != libc::IPPROTO_UDP && s.protocol as i32 != libc::IPPROTO_UDPLITE {
        return refuse(
            RefusalKind::Busy,
            format!("{}: echo replies wait in it, which are not carried: try again, or {}", s.name(), way(s)),
        );
    }
    let message = |m: kernel::Peeked| InetMessage { sender: InetAddress::from_sockaddr(&m.from), data: m.data.into() };
    section.queue = waiting.into_iter().map(message).collect();
    section.shutdown = shutdown(cx, s)?;
    cx.out.add(s.d.id, section);
    Ok(true)
}

/// Which ways it was shut down. poll(2) shows that it receives no more (POLLRDHUP) and that it does neither (POLLHUP); that it only sends no more shows
/// the list of sockets alone, which has those with a port. Ping sockets are in no list.
fn shutdown(cx: &mut Cx<'_>, s: &Socket<'_>) -> Result<u32> {
    const RECEIVES: u32 = 1;
    const SENDS: u32 = 2;
    let events = kernel::events(&s.fd)?;
    if events & libc::POLLHUP != 0 {
        return Ok(RECEIVES | SENDS);
    }
    let listed = cx.sockets.udp_shutdown(s.family, s.protocol)?.get(&(s.ino() as u32)).copied().unwrap_or(0);
    Ok(u32::from(listed) | if events & libc::POLLRDHUP != 0 { RECEIVES } else { 0 })
}
