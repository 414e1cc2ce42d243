//! What the restorers of UDP and TCP share: a socket with its options and its name.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use cryo_format::section::inet::Inet;
use cryo_tracee::{Host, sockets as socket};

use super::sockets;
use super::table::Table;
use crate::Result;
use crate::error::{RefusalKind, refuse};

const SOL_SOCKET: u32 = libc::SOL_SOCKET as u32;
const REUSEADDR: u32 = libc::SO_REUSEADDR as u32;
const IP: u32 = libc::IPPROTO_IP as u32;
const BIND_ADDRESS_NO_PORT: u32 = libc::IP_BIND_ADDRESS_NO_PORT as u32;
/// IP_FREEBIND and IPV6_FREEBIND. 0 in an image: the socket was bound with it, and it was switched off afterwards.
const FREEBIND: [(u32, u32); 2] = [(IP, libc::IP_FREEBIND as u32), (libc::IPPROTO_IPV6 as u32, 78)];
const ON: [u8; 4] = 1_i32.to_le_bytes();
const OFF: [u8; 4] = 0_i32.to_le_bytes();

/// A socket that is there.
pub struct Made<'a> {
    /// The descriptor that it is for.
    pub fd: u32,
    /// What it shall be.
    pub section: &'a Inet,
    /// Where the host has it.
    pub at: u64,
    /// Our duplicate.
    pub ours: OwnedFd,
}

/// All that are made so far, by description.
pub type All<'a> = HashMap<u64, Made<'a>>;

/// Is the option in the image?
fn has(s: &Inet, level: u32, name: u32) -> bool {
    s.options.iter().any(|o| (o.level, o.name) == (level, name))
}

/// The value of an option of SOL_SOCKET in the image.
pub fn recorded(s: &Inet, name: u32) -> Option<&[u8]> {
    s.options.iter().find(|o| (o.level, o.name) == (SOL_SOCKET, name)).map(|o| o.value.as_slice())
}

/// A socket with its options, without a name.
pub fn make<'a>(host: &mut Host, table: &mut Table<'_>, id: u64, s: &'a Inet) -> Result<Made<'a>> {
    let at = sockets::make(host, s.family, s.kind, s.protocol)?;
    adopt(host, table, id, s, at)
}

/// Takes in what was made.
pub fn adopt<'a>(host: &mut Host, table: &mut Table<'_>, id: u64, s: &'a Inet, at: u64) -> Result<Made<'a>> {
    let at = table.park(host, at)?;
    let ours = table.take(at)?;
    let fd = table.number(id).unwrap_or_default();
    sockets::early(&ours, fd, &s.options)?;
    Ok(Made { fd, section: s, at, ours })
}

/// Others of the image may have its port, too, or have had it just now (SO_REUSEADDR).
pub fn share(socket: &OwnedFd) -> cryo_tracee::Result<()> {
    socket::set_option(socket, SOL_SOCKET, REUSEADDR, &ON)
}

/// bind(2), if it was bound. `shared`: with others on this port, which are ours, too.
pub fn bind(m: &Made<'_>, shared: bool) -> Result<()> {
    let s = m.section;
    if s.local.port == 0 && s.local.ip(s.family).is_unspecified() {
        return Ok(());
    }
    // An address without a port: connect(2) would have chosen that one.
    if s.local.port == 0 {
        socket::set_option(&m.ours, IP, BIND_ADDRESS_NO_PORT, &ON)?;
    }
    if shared {
        share(&m.ours)?;
    }
    let freebind = s.options.iter().find(|o| FREEBIND.contains(&(o.level, o.name)) && o.number() == Some(0));
    if let Some(o) = freebind {
        socket::set_option(&m.ours, o.level, o.name, &ON)?;
    }
    let bound = socket::bind(&m.ours, &s.local.sockaddr(s.family));
    if let Some(o) = freebind {
        socket::set_option(&m.ours, o.level, o.name, &OFF)?;
    }
    match bound {
        Ok(()) if s.local.port == 0 && !has(s, IP, BIND_ADDRESS_NO_PORT) => {
            Ok(socket::set_option(&m.ours, IP, BIND_ADDRESS_NO_PORT, &OFF)?)
        }
        Ok(()) => Ok(()),
        Err(e) => {
            refuse(RefusalKind::Socket, format!("fd {}: {}", m.fd, unavailable(m.fd, s.local.plain(s.family), &e)))
        }
    }
}

/// Why an address cannot be had, and the way out.
pub fn unavailable(fd: u32, address: SocketAddr, e: &cryo_tracee::Error) -> String {
    let way = format!("use --fd {fd}=null|FILE");
    match e.errno() {
        Some(libc::EADDRINUSE) => {
            format!(
                "{address} is in use here: end who uses it, thaw in a network namespace of its own (unshare -rn), or {way}"
            )
        }
        Some(libc::EADDRNOTAVAIL) => {
            format!("{} is no address of this machine: add it (ip address add), or {way}", address.ip())
        }
        Some(libc::EACCES) => format!("{address} may be taken by root only: thaw as root, or {way}"),
        _ => format!("{address}: {e}: {way}"),
    }
}
