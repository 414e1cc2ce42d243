//! NETLINK_SOCK_DIAG: what the kernel tells about sockets that no call on the socket itself does (sock_diag(7)).

use std::collections::HashMap;
use std::os::fd::OwnedFd;

use crate::{Error, Result, fault, sockets};

const NETLINK_SOCK_DIAG: u32 = 4;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_DUMP: u16 = 0x300;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// UDIAG_SHOW_NAME, VFS, PEER, ICONS, RQLEN of linux/unix_diag.h.
const SHOW: u32 = 0x1 | 0x2 | 0x4 | 0x8 | 0x10;

/// A unix socket as the kernel sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnixSocket {
    /// SOCK_STREAM and so on.
    pub kind: u8,
    /// TCP_ESTABLISHED (1), TCP_LISTEN (10), TCP_CLOSE (7).
    pub state: u8,
    /// Inode; 0 for a connection that nobody has accepted yet.
    pub ino: u32,
    /// The name, abstract ones beginning with a zero byte.
    pub name: Vec<u8>,
    /// Inode and device of the file that a name in the file system was bound to.
    pub file: Option<(u32, u32)>,
    /// The peer's inode; 0 for one that was closed or is not accepted yet.
    pub peer: Option<u32>,
    /// Inodes of those who wait to be accepted, in their order; 0 for one that has closed since.
    pub waiting: Vec<u32>,
    /// For a listener the limit of those who wait.
    pub backlog: u32,
    /// 1: it receives no more; 2: it sends no more.
    pub shutdown: u8,
}

/// All unix sockets of our network namespace that have an inode.
pub fn unix() -> Result<HashMap<u32, UnixSocket>> {
    let mut body = vec![libc::AF_UNIX as u8, 0, 0, 0];
    body.extend(u32::MAX.to_le_bytes()); // states
    body.extend(0_u32.to_le_bytes()); // inode
    body.extend(SHOW.to_le_bytes());
    body.extend([0; 8]); // cookie
    let mut found = HashMap::new();
    dump("asking for the unix sockets", &body, |body| {
        if let Some(s) = parse(body).filter(|s| s.ino != 0) {
            found.insert(s.ino, s);
        }
    })?;
    Ok(found)
}

/// Which UDP sockets of a family and protocol, by inode, were shut down. 1: receives no more; 2: sends no more. The kernel lists those that have a
/// port; one without CONFIG_INET_UDP_DIAG lists none.
pub fn udp_shutdown(family: u32, protocol: u32) -> Result<HashMap<u32, u8>> {
    const INET_DIAG_SHUTDOWN: u16 = 8;
    // struct inet_diag_req_v2: family, protocol, extensions, padding, states; a socket's id, which a dump does not look at.
    let mut body = vec![family as u8, protocol as u8, 0, 0];
    body.extend(u32::MAX.to_le_bytes());
    body.extend([0; 48]);
    let mut found = HashMap::new();
    let done = dump("asking for the UDP sockets", &body, |body| {
        // struct inet_diag_msg: the inode is its last word.
        let Some(ino) = body.get(68..).and_then(<[u8]>::first_chunk).map(|b| u32::from_le_bytes(*b)) else { return };
        let rest = body.get(72..).unwrap_or_default();
        if let Some(how) = attributes(rest).find(|(kind, _)| *kind == INET_DIAG_SHUTDOWN).and_then(|(_, v)| v.first()) {
            found.insert(ino, *how);
        }
    });
    match done {
        Err(e) if matches!(e.errno(), Some(libc::ENOENT | libc::EOPNOTSUPP | libc::EPROTONOSUPPORT)) => Ok(found),
        other => other.map(|()| found),
    }
}

/// A packet socket as the kernel sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PacketSocket {
    /// PACKET_ADD_MEMBERSHIP, in the order of the kernel's list: the last one first.
    pub memberships: Vec<PacketMembership>,
    /// Has it a ring?
    pub rings: bool,
    /// Its fanout group: as getsockopt(PACKET_FANOUT) gives it.
    pub fanout: Option<u32>,
}

/// struct packet_diag_mclist of linux/packet_diag.h.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PacketMembership {
    /// Number of the interface.
    pub interface: u32,
    /// How often it was added.
    pub count: u32,
    /// PACKET_MR_MULTICAST 0, PACKET_MR_PROMISC 1, PACKET_MR_ALLMULTI 2, PACKET_MR_UNICAST 3.
    pub kind: u16,
    /// The hardware address.
    pub address: Vec<u8>,
}

/// All packet sockets of our network namespace, by inode; none of a kernel that cannot list them.
pub fn packet() -> Result<HashMap<u32, PacketSocket>> {
    // PACKET_SHOW_MCLIST, RING_CFG, FANOUT of linux/packet_diag.h.
    const SHOW: u32 = 0x2 | 0x4 | 0x8;
    // struct packet_diag_req: family, protocol, padding; inode, what to show, cookie.
    let mut body = vec![libc::AF_PACKET as u8, 0, 0, 0, 0, 0, 0, 0];
    body.extend(SHOW.to_le_bytes());
    body.extend([0; 8]);
    let mut found = HashMap::new();
    let done = dump("asking for the packet sockets", &body, |body| found.extend(parse_packet(body)));
    match done {
        Err(e) if matches!(e.errno(), Some(libc::ENOENT | libc::EOPNOTSUPP)) => Ok(found),
        other => other.map(|()| found),
    }
}

/// struct packet_diag_msg and its attributes.
fn parse_packet(body: &[u8]) -> Option<(u32, PacketSocket)> {
    let word = |b: &[u8]| b.first_chunk().map(|b| u32::from_le_bytes(*b));
    let half = |b: &[u8]| b.first_chunk().map(|b| u16::from_le_bytes(*b));
    let ino = word(body.get(4..)?)?;
    let mut socket = PacketSocket::default();
    for (kind, value) in attributes(body.get(16..)?) {
        match kind {
            1 => {
                for m in value.chunks_exact(44) {
                    let length = usize::from(half(&m[10..])?).min(32);
                    let (interface, count, kind) = (word(m)?, word(&m[4..])?, half(&m[8..])?);
                    socket.memberships.push(PacketMembership {
                        interface,
                        count,
                        kind,
                        address: m[12..12 + length].to_vec(),
                    });
                }
            }
            2 | 3 => socket.rings = true,
            4 => socket.fanout = word(value),
            _ => {}
        }
    }
    Some((ino, socket))
}

/// Sends a dump request with this body, and hands out the body of each answer.
fn dump(what: &str, request: &[u8], mut each: impl FnMut(&[u8])) -> Result<()> {
    fault::point().map_err(|e| Error::sys(what, e))?;
    let socket = sockets::socket(libc::AF_NETLINK as u32, libc::SOCK_DGRAM as u32, NETLINK_SOCK_DIAG)?;
    rustix::fs::fcntl_setfl(&socket, rustix::fs::OFlags::empty()).map_err(|e| Error::sys(what, e))?;
    // struct nlmsghdr: length, type, flags, sequence, port.
    let mut message_out = (16 + request.len() as u32).to_le_bytes().to_vec();
    message_out.extend(SOCK_DIAG_BY_FAMILY.to_le_bytes());
    message_out.extend((NLM_F_REQUEST | NLM_F_DUMP).to_le_bytes());
    message_out.extend([0; 8]);
    message_out.extend(request);
    sockets::send(&socket, &message_out, &[])?;
    loop {
        let batch = receive(&socket)?;
        let mut rest = batch.as_slice();
        while let Some((kind, body, next)) = message(rest) {
            match kind {
                NLMSG_DONE => return Ok(()),
                NLMSG_ERROR => {
                    let errno = body.first_chunk().map_or(libc::EIO, |b| -i32::from_le_bytes(*b));
                    return Err(Error::sys(what, std::io::Error::from_raw_os_error(errno)));
                }
                SOCK_DIAG_BY_FAMILY => each(body),
                _ => {}
            }
            rest = next;
        }
    }
}

fn receive(socket: &OwnedFd) -> Result<Vec<u8>> {
    let mut buffer = vec![0; 64 << 10];
    let n = rustix::io::read(socket, &mut buffer).map_err(|e| Error::sys("reading the list of sockets", e))?;
    buffer.truncate(n);
    Ok(buffer)
}

/// The first netlink message: its type, its body and what follows.
fn message(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let len = u32::from_le_bytes(*bytes.first_chunk()?) as usize;
    let kind = u16::from_le_bytes(*bytes.get(4..)?.first_chunk()?);
    let body = bytes.get(16..len)?;
    Some((kind, body, bytes.get(len.next_multiple_of(4)..).unwrap_or_default()))
}

/// Netlink attributes: type and value.
fn attributes(mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let len = usize::from(u16::from_le_bytes(*rest.first_chunk()?));
        let kind = u16::from_le_bytes(*rest.get(2..)?.first_chunk()?);
        let value = rest.get(4..len)?;
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// struct unix_diag_msg and its attributes.
fn parse(body: &[u8]) -> Option<UnixSocket> {
    let word = |b: &[u8]| b.first_chunk().map(|b| u32::from_le_bytes(*b));
    let mut s =
        UnixSocket { kind: *body.get(1)?, state: *body.get(2)?, ino: word(body.get(4..)?)?, ..UnixSocket::default() };
    for (kind, value) in attributes(body.get(16..)?) {
        match kind {
            0 => s.name = value.to_vec(),
            1 => s.file = Some((word(value)?, word(value.get(4..)?)?)),
            2 => s.peer = word(value),
            3 => s.waiting = value.chunks_exact(4).filter_map(word).collect(),
            4 => s.backlog = word(value.get(4..)?)?,
            6 => s.shutdown = *value.first()?,
            _ => {}
        }
    }
    Some(s)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::net::UnixStream;

    use super::{UnixSocket, message, parse};

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut a = (value.len() as u16 + 4).to_le_bytes().to_vec();
        a.extend(kind.to_le_bytes());
        a.extend(value);
        a.resize(a.len().next_multiple_of(4), 0);
        a
    }

    /// struct unix_diag_msg of a listening stream socket with inode 0x1234, and attributes behind it.
    fn body(attributes: &[Vec<u8>]) -> Vec<u8> {
        let mut b = vec![1, 1, 10, 0, 0x34, 0x12, 0, 0, 0xaa, 0, 0, 0, 0xbb, 0, 0, 0];
        b.extend(attributes.concat());
        b
    }

    #[test]
    fn as_the_kernel_writes_it() {
        let words = |all: &[u32]| all.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>();
        let seen = parse(&body(&[
            attribute(0, b"\0abs\ntract"),
            attribute(1, &words(&[77, 0xfe00])),
            attribute(3, &words(&[5, 0])),
            attribute(4, &words(&[2, 128])),
            attribute(99, b"of a later kernel"),
            attribute(6, &[2]),
        ]));
        let want = UnixSocket {
            kind: 1,
            state: 10,
            ino: 0x1234,
            name: b"\0abs\ntract".to_vec(),
            file: Some((77, 0xfe00)),
            peer: None,
            waiting: vec![5, 0],
            backlog: 128,
            shutdown: 2,
        };
        assert_eq!(seen, Some(want));
        assert_eq!(parse(&body(&[attribute(2, &words(&[9]))])).unwrap().peer, Some(9));
    }

    /// Lengths that lie are no socket, and no panic.
    #[test]
    fn cut_anywhere() {
        let whole = body(&[attribute(0, b"name"), attribute(1, &[1, 0, 0, 0, 2, 0, 0, 0]), attribute(6, &[1])]);
        for end in 0..whole.len() {
            let _ = parse(&whole[..end]);
        }
        for len in 0..20_u8 {
            let mut wrong = body(&[attribute(1, &[1, 0, 0, 0, 2, 0, 0, 0])]);
            wrong[16] = len;
            let _ = parse(&wrong);
        }
        // Nothing behind an attribute whose length lies is believed.
        let lies = parse(&body(&[vec![3, 0, 0, 0], attribute(6, &[1])])).unwrap();
        assert_eq!((lies.ino, lies.shutdown), (0x1234, 0));
        assert_eq!(parse(&[]), None);
    }

    #[test]
    fn messages_one_after_another() {
        let mut two = [24_u32.to_le_bytes().as_slice(), &20_u16.to_le_bytes(), &[0; 10], b"12345678"].concat();
        two.extend([18_u32.to_le_bytes().as_slice(), &3_u16.to_le_bytes(), &[0; 10], b"xy"].concat());
        let (kind, body, rest) = message(&two).unwrap();
        assert_eq!((kind, body), (20, b"12345678".as_slice()));
        let (kind, body, rest) = message(rest).unwrap();
        assert_eq!((kind, body, rest.len()), (3, b"xy".as_slice(), 0));
        for short in [0_u32, 15, 4096] {
            let mut wrong = two.clone();
            wrong[..4].copy_from_slice(&short.to_le_bytes());
            assert!(message(&wrong).is_none(), "{short}");
        }
    }

    #[test]
    fn both_ends_of_a_pair_name_each_other() -> Result<(), Box<dyn std::error::Error>> {
        let (a, b) = UnixStream::pair()?;
        let ino =
            |s: &UnixStream| std::fs::metadata(format!("/proc/self/fd/{}", s.as_raw_fd())).map(|m| m.ino() as u32);
        let (a_ino, b_ino) = (ino(&a)?, ino(&b)?);
        b.shutdown(std::net::Shutdown::Write)?;
        let all = super::unix()?;
        assert_eq!(all[&a_ino].peer, Some(b_ino));
        assert_eq!(all[&b_ino].peer, Some(a_ino));
        assert_eq!((all[&a_ino].shutdown, all[&b_ino].shutdown), (1, 2));
        Ok(())
    }

    #[test]
    fn a_udp_socket_that_sends_no_more_says_so() -> Result<(), Box<dyn std::error::Error>> {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(socket.local_addr()?)?;
        let socket = std::os::fd::OwnedFd::from(socket);
        let ino = std::fs::metadata(format!("/proc/self/fd/{}", socket.as_raw_fd()))?.ino() as u32;
        let (family, protocol) = (libc::AF_INET as u32, libc::IPPROTO_UDP as u32);
        assert_eq!(super::udp_shutdown(family, protocol)?.get(&ino), Some(&0));
        crate::sockets::shutdown(&socket, 1)?;
        assert_eq!(super::udp_shutdown(family, protocol)?.get(&ino), Some(&2));
        Ok(())
    }
}
