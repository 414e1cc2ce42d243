//! `PCKT`: packet sockets.

use std::os::fd::OwnedFd;

use cryo_format::section::packet::{PacketMembership, PacketSocket};
use cryo_tracee::{Host, sockets as socket};

use super::sockets;
use super::table::Table;
use crate::Result;
use crate::error::{RefusalKind, refuse};

const SOL_PACKET: u32 = libc::SOL_PACKET as u32;

/// Makes it. It receives nothing before it is bound, when its filter is there.
pub fn restore(host: &mut Host, table: &mut Table<'_>, fd: u32, id: u64) -> Result<Option<u64>> {
    let Some(s) = table.section::<PacketSocket>(id) else { return Ok(None) };
    sockets::may_make(fd)?;
    let at = sockets::make(host, libc::AF_PACKET as u32, s.kind, 0)?;
    let ours = table.take(at)?;
    sockets::early(&ours, fd, &s.options)?;
    sockets::late(&table.options.notes, &ours, fd, &s.options, &s.filter, s.open_flags)?;
    let interface = interface(&ours, fd, &s.interface_name)?;
    if interface != s.interface {
        table.options.notes.add(format!(
            "fd {fd}: its interface {} was number {} and is {interface} here",
            s.interface_name, s.interface
        ));
    }
    let way = format!("use --fd {fd}=null|FILE");
    if (s.protocol, interface) != (0, 0)
        && let Err(e) = socket::bind(&ours, &address(s.protocol as u16, interface))
    {
        return refuse(
            RefusalKind::Socket,
            format!("fd {fd}: binding it to interface {}: {e}: {way}", s.interface_name),
        );
    }
    // The kernel lists the last one first.
    for m in s.memberships.iter().rev() {
        join(&ours, fd, m)?;
    }
    if s.in_fanout != 0
        && let Err(e) = socket::set_option(&ours, SOL_PACKET, libc::PACKET_FANOUT as u32, &s.fanout.to_le_bytes())
    {
        let group = s.fanout & 0xffff;
        return refuse(RefusalKind::Socket, format!("fd {fd}: joining fanout group {group}: {e}: {way}"));
    }
    Ok(Some(at))
}

fn join(ours: &OwnedFd, fd: u32, m: &PacketMembership) -> Result<()> {
    let interface = interface(ours, fd, &m.interface_name)?;
    // struct packet_mreq, whose address may be longer (struct packet_mreq_max of net/packet/af_packet.c).
    let mut request = interface.to_le_bytes().to_vec();
    request.extend((m.kind as u16).to_le_bytes());
    request.extend((m.address.len() as u16).to_le_bytes());
    request.extend(&m.address[..]);
    request.resize(request.len().max(16), 0);
    for _ in 0..m.count {
        if let Err(e) = socket::set_option(ours, SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP as u32, &request) {
            return refuse(
                RefusalKind::Socket,
                format!("fd {fd}: a membership on interface {}: {e}: use --fd {fd}=null|FILE", m.interface_name),
            );
        }
    }
    Ok(())
}

/// The number that an interface has here; 0 for no name.
fn interface(ours: &OwnedFd, fd: u32, name: &[u8]) -> Result<u32> {
    if name.is_empty() {
        return Ok(0);
    }
    let name = String::from_utf8_lossy(name);
    match rustix::net::netdevice::name_to_index(ours, &name) {
        Ok(index) => Ok(index),
        Err(e) => refuse(
            RefusalKind::Socket,
            format!("fd {fd}: its network interface {name}: {e}: add it (ip link add), or use --fd {fd}=null|FILE"),
        ),
    }
}

/// `struct sockaddr_ll`.
fn address(protocol: u16, interface: u32) -> Vec<u8> {
    let mut a = (libc::AF_PACKET as u16).to_le_bytes().to_vec();
    a.extend(protocol.to_be_bytes());
    a.extend(interface.to_le_bytes());
    a.resize(20, 0);
    a
}
