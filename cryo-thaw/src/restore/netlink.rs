//! `NTLK`: netlink sockets.

use cryo_format::section::netlink::Netlink;
use cryo_tracee::{Host, sockets as socket};

use super::sockets;
use super::table::Table;
use crate::Result;
use crate::error::{RefusalKind, reason, refuse};

const NETLINK_ADD_MEMBERSHIP: u32 = 1;

/// Makes it.
pub fn restore(host: &mut Host, table: &mut Table<'_>, fd: u32, id: u64) -> Result<Option<u64>> {
    let Some(s) = table.section::<Netlink>(id) else { return Ok(None) };
    let at = sockets::make(host, libc::AF_NETLINK as u32, s.kind, s.protocol)?;
    let ours = table.take(at)?;
    sockets::early(&ours, fd, &s.options)?;
    let way = format!("use --fd {fd}=null|FILE");
    if s.port != 0
        && let Err(e) = socket::bind(&ours, &address(s.port, 0))
    {
        return match e.errno() {
            Some(libc::EADDRINUSE) => refuse(
                RefusalKind::Socket,
                format!("fd {fd}: netlink port {} is taken: end who has it, or {way}", s.port),
            ),
            _ => refuse(RefusalKind::Socket, format!("fd {fd}: netlink port {}: {e}: {way}", s.port, e = reason(&e))),
        };
    }
    for group in &s.groups {
        if let Err(e) =
            socket::set_option(&ours, libc::SOL_NETLINK as u32, NETLINK_ADD_MEMBERSHIP, &group.to_le_bytes())
        {
            return refuse(
                RefusalKind::Socket,
                format!("fd {fd}: netlink group {group} of protocol {}: {e}: {way}", s.protocol, e = reason(&e)),
            );
        }
    }
    if s.remote_port != 0 || s.remote_groups != 0 {
        socket::connect(&ours, &address(s.remote_port, s.remote_groups))?;
    }
    sockets::late(&table.options.notes, &ours, fd, &s.options, &s.filter, s.open_flags)?;
    Ok(Some(at))
}

/// `struct sockaddr_nl`.
fn address(port: u32, groups: u32) -> Vec<u8> {
    let family = u32::from(libc::AF_NETLINK as u16);
    [family, port, groups].iter().flat_map(|w| w.to_le_bytes()).collect()
}
