//! `PCKT`: packet sockets.

use std::collections::HashMap;

use cryo_format::prim::Bytes;
use cryo_format::section::packet::{PacketMembership, PacketSocket};
use cryo_tracee::{sock_diag, sockets as kernel};

use super::description::Cx;
use super::socket::{self, Socket, way};
use super::{RefusalKind, refuse};
use crate::Result;
use crate::error::About;

/// Types of fanout that a program of the person's decides (linux/if_packet.h): PACKET_FANOUT_CBPF, PACKET_FANOUT_EBPF.
const BY_PROGRAM: [u32; 2] = [6, 7];

/// Adds it.
pub fn collect(cx: &mut Cx<'_>, s: &Socket<'_>) -> Result<bool> {
    socket::may_make(s)?;
    let listed: HashMap<u32, _> = sock_diag::packet()?;
    let Some(known) = listed.get(&(s.ino() as u32)) else {
        return refuse(
            RefusalKind::Machine,
            format!(
                "{}: the kernel's list of packet sockets lacks it: load its module packet_diag (modprobe af_packet_diag), or {}",
                s.name(),
                way(s)
            ),
        );
    };
    if known.rings {
        return refuse(
            RefusalKind::Socket,
            format!("{}: it has a ring (PACKET_RX_RING or PACKET_TX_RING), which is not carried: {}", s.name(), way(s)),
        );
    }
    if known.fanout.is_some_and(|fanout| BY_PROGRAM.contains(&(fanout >> 16 & 0xff))) {
        return refuse(
            RefusalKind::Socket,
            format!("{}: a program chooses in its fanout group, which is not carried: {}", s.name(), way(s)),
        );
    }
    // struct sockaddr_ll: family, protocol in network order, interface.
    let local = kernel::local(&s.fd)?;
    let protocol = local.get(2..).and_then(|b| b.first_chunk()).map_or(0, |b| u16::from_be_bytes(*b));
    let interface = local.get(4..).and_then(|b| b.first_chunk()).map_or(0, |b| u32::from_le_bytes(*b));
    let mut memberships = Vec::new();
    for m in &known.memberships {
        memberships.push(PacketMembership {
            interface: m.interface,
            kind: m.kind.into(),
            count: m.count,
            reserved: 0,
            interface_name: name(s, m.interface)?,
            address: m.address.clone().into(),
        });
    }
    socket::packets_wait(cx, s, kernel::events(&s.fd)?);
    let section = PacketSocket {
        kind: s.kind,
        protocol: protocol.into(),
        open_flags: s.open_flags(),
        interface,
        in_fanout: known.fanout.is_some().into(),
        fanout: known.fanout.unwrap_or(0),
        reserved: 0,
        interface_name: name(s, interface)?,
        options: socket::options(cx, s, &[])?,
        filter: socket::filter(s)?,
        memberships: memberships.into(),
    };
    cx.out.add(s.d.id, section);
    Ok(true)
}

/// The name of an interface; empty for 0.
fn name(s: &Socket<'_>, interface: u32) -> Result<Bytes> {
    if interface == 0 {
        return Ok(Bytes::default());
    }
    let name = rustix::net::netdevice::index_to_name(&s.fd, interface);
    Ok(name.about(|| format!("{}: asking for the name of interface {interface}", s.name()))?.into_bytes().into())
}
