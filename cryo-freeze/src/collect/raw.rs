//! `RAWS`: raw sockets over IPv4 and IPv6.

use std::fs;

use cryo_format::prim::Raw;
use cryo_format::section::raw::RawSocket;
use cryo_format::socket::InetAddress;
use cryo_tracee::{sock_diag, sockets as kernel};

use super::description::Cx;
use super::inet_socket;
use super::socket::{self, Socket, in_list, way};
use super::{RefusalKind, refuse};
use crate::Result;

const IPV6_ROUTER_ALERT: u32 = 22;
/// TCP_ESTABLISHED, which a connected one is in.
const CONNECTED: &str = "01";

/// Adds it.
pub fn collect(cx: &mut Cx<'_>, s: &Socket<'_>) -> Result<bool> {
    socket::may_make(s)?;
    let file = if s.family == libc::AF_INET as u32 { "raw" } else { "raw6" };
    if routes(cx, s) {
        return refuse(
            RefusalKind::Socket,
            format!(
                "{}: it may be the one through which a multicast router works, which is not carried: {}",
                s.name(),
                way(s)
            ),
        );
    }
    // The number that it was set to cannot be asked for.
    if file == "raw6" && kernel::number(&s.fd, libc::IPPROTO_IPV6 as u32, IPV6_ROUTER_ALERT).is_ok_and(|n| n != 0) {
        return refuse(RefusalKind::Socket, format!("{}: its IPV6_ROUTER_ALERT is not carried: {}", s.name(), way(s)));
    }
    let (connected, remote) = connected(cx, s, file)?;
    let sends =
        sock_diag::udp_shutdown(s.family, libc::IPPROTO_RAW as u32)?.get(&(s.ino() as u32)).copied().unwrap_or(0);
    let events = kernel::events(&s.fd)?;
    let shutdown = match events {
        e if e & libc::POLLHUP != 0 => 3,
        e if e & libc::POLLRDHUP != 0 => 1,
        _ => 0,
    };
    socket::packets_wait(cx, s, events);
    let common = inet_socket::section(cx, s, &[])?;
    let section = RawSocket {
        family: s.family,
        protocol: s.protocol,
        open_flags: common.open_flags,
        local: common.local,
        remote,
        connected: connected.into(),
        shutdown: shutdown | u32::from(sends),
        options: common.options,
        filter: common.filter,
        groups: common.groups,
    };
    cx.out.add(s.d.id, section);
    Ok(true)
}

/// Is it connected, and to whom? getpeername(2) tells only if it was connected with a port, which means nothing to a raw socket.
fn connected(cx: &Cx<'_>, s: &Socket<'_>, file: &str) -> Result<(bool, InetAddress)> {
    if let Some(remote) = kernel::remote(&s.fd)? {
        return Ok((true, InetAddress::from_sockaddr(&remote)));
    }
    let path = format!("/proc/{}/net/{file}", cx.of(s.d.first()).live_tid);
    match in_list(&path, |text| listed(text, s.ino()).map(|(remote, state)| (remote, state == CONNECTED)))? {
        Some((remote, true)) => Ok((true, remote)),
        Some(_) => Ok((false, InetAddress::default())),
        None => refuse(
            RefusalKind::Namespace,
            format!("{} is of another network namespace, which is not carried: {}", s.name(), way(s)),
        ),
    }
}

/// The remote address and the state of the socket with this inode: columns 3, 4 and 10 of /proc/net/raw.
fn listed(text: &str, ino: u64) -> Option<(InetAddress, &str)> {
    let ino = ino.to_string();
    let columns =
        text.lines().map(|l| l.split_whitespace().collect::<Vec<_>>()).find(|c| c.get(9) == Some(&ino.as_str()))?;
    let (hex, _port) = columns.get(2)?.split_once(':')?;
    let mut address = [0; 16];
    // Words in the machine's order, of which each holds four bytes in the network's.
    for (word, at) in hex.as_bytes().chunks(8).zip(address.chunks_mut(4)) {
        at.copy_from_slice(&u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?.to_ne_bytes());
    }
    Some((InetAddress { address: Raw(address), ..InetAddress::default() }, columns.get(3)?))
}

/// Is there a multicast router on this machine, and may this be its socket (MRT_INIT, MRT6_INIT)?
fn routes(cx: &Cx<'_>, s: &Socket<'_>) -> bool {
    let file = match s.protocol as i32 {
        libc::IPPROTO_IGMP => "ip_mr_vif",
        libc::IPPROTO_ICMPV6 => "ip6_mr_vif",
        _ => return false,
    };
    let text = fs::read_to_string(format!("/proc/{}/net/{file}", cx.of(s.d.first()).live_tid)).unwrap_or_default();
    text.lines().count() > 1
}

#[cfg(test)]
mod tests {
    use super::listed;

    #[test]
    fn lines_of_proc() {
        let four = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
            \x20  1: 0100007F:0001 0200007F:0000 01 00000000:00000000 00:00000000 00000000     0        0 77 2 0000000000000000 0\n";
        let (remote, state) = listed(four, 77).expect("its line");
        assert_eq!((remote.address.0[..4].to_vec(), state), (vec![127, 0, 0, 2], "01"));
        assert!(listed(four, 7).is_none());
        let six = "  sl  local_address                         remote_address  st ...\n\
            \x20 58: 00000000000000000000000000000000:003A B80D0120000000000000000007000000:0000 07 0:0 0:0 0 0 0 78 2 0 0\n";
        let (remote, state) = listed(six, 78).expect("its line");
        assert_eq!(remote.plain(10).to_string(), "[2001:db8::7]:0");
        assert_eq!(state, "07");
    }
}
