//! Sockets of any family, and the list of the families that are carried.
//!
//! All is asked through a duplicate of the descriptor; the process itself does not notice.

use std::os::unix::fs::FileTypeExt;

use cryo_tracee::sockets;

use super::description::{Cx, Description};
use super::socket::Socket;
use super::{inet, netlink, packet, unix};
use crate::Result;
use crate::options::{Ends, Tcp};

const SOL_SOCKET: u32 = libc::SOL_SOCKET as u32;

/// Adds a socket of any family; says no where it is outside and that is another collector's business.
pub fn collect<'c>(cx: &mut Cx<'c>, d: &'c Description<'c>) -> Result<bool> {
    let f = d.first();
    if !f.meta.file_type().is_socket() || f.info.flags() & libc::O_PATH as u64 != 0 {
        return Ok(false);
    }
    let fd = cx.take(f)?;
    let number = |name: i32| sockets::number(&fd, SOL_SOCKET, name as u32);
    let (family, kind, protocol) = (number(libc::SO_DOMAIN)?, number(libc::SO_TYPE)?, number(libc::SO_PROTOCOL)?);
    let socket = Socket { d, fd, family, kind, protocol };
    let shared = cx.machine.others.holder(&f.link);
    let close = match family as i32 {
        libc::AF_UNIX => cx.options.unix == Ends::Close,
        libc::AF_INET | libc::AF_INET6 => cx.options.tcp == Tcp::Close,
        _ => false,
    };
    match shared {
        Some(other) if close && !socket.standard() => {
            cx.out.note(socket.name(), format!("{other} has it open, too, and keeps it"));
        }
        Some(other) => {
            cx.why = Some(format!("{other} has it open, too"));
            return Ok(false);
        }
        None => {}
    }
    match family as i32 {
        libc::AF_UNIX => unix::collect(cx, &socket),
        libc::AF_INET | libc::AF_INET6 => inet::collect(cx, &socket),
        libc::AF_NETLINK => netlink::collect(cx, &socket),
        libc::AF_PACKET => packet::collect(cx, &socket),
        other => {
            let name = family_name(other);
            cx.why = Some(format!("{name} sockets are not carried"));
            Ok(false)
        }
    }
}

fn family_name(family: i32) -> String {
    match family {
        libc::AF_VSOCK => "vsock".into(),
        libc::AF_ALG => "kernel crypto (AF_ALG)".into(),
        libc::AF_BLUETOOTH => "bluetooth".into(),
        libc::AF_CAN => "CAN".into(),
        libc::AF_XDP => "XDP".into(),
        libc::AF_KEY => "key".into(),
        libc::AF_TIPC => "TIPC".into(),
        other => format!("family {other}"),
    }
}
