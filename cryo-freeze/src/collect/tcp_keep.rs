//! Connections of `INET` to the outside that go on: what `TCP_REPAIR` tells, and the quiet until then.

use cryo_format::prim::{Blob, Bytes};
use cryo_format::section::inet::{InetMessage, Kept, State};
use cryo_tracee::repair::{self, Quiet};
use cryo_tracee::sockets as kernel;

use super::description::Cx;
use super::inet_socket::section;
use super::socket::{Socket, way};
use super::tcp_info::{ESTABLISHED, Info, OF_CONNECTION};
use super::{RefusalKind, refuse};
use crate::Result;
use crate::error::About;

/// tcpi_options: timestamps, SACK, window scaling.
const CARRIED: u32 = 7;

/// Makes the connection quiet and adds it.
pub fn collect(cx: &mut Cx<'_>, s: &Socket<'_>, what: &str) -> Result<bool> {
    if Info::of(&s.fd)?.state() != ESTABLISHED || s.protocol as i32 != libc::IPPROTO_TCP {
        cx.why = Some(format!(
            "{what}, cannot be kept (half closed, or not plain TCP); --tcp close lets the program find it reset"
        ));
        return Ok(false);
    }
    let mut section = section(cx, s, OF_CONNECTION)?;
    let fd = s.fd.try_clone().about(|| format!("duplicating {}", s.name()))?;
    let quiet = match Quiet::begin(fd, section.filter.to_vec()) {
        Ok(quiet) => quiet,
        Err(e) if e.errno() == Some(libc::EPERM) => {
            return refuse(
                RefusalKind::Permission,
                format!("{}: {what}: --tcp keep needs CAP_NET_ADMIN: freeze as root, or use --tcp close", s.name()),
            );
        }
        Err(e) => return Err(e.into()),
    };
    // It is the collection's from here on, which lets it go on if anything fails.
    cx.held.quiet.push(quiet);
    let Some(quiet) = cx.held.quiet.last() else { return Ok(false) };
    // Until it was quiet the peer may have ended it.
    let info = Info::of(quiet.fd())?;
    if info.state() != ESTABLISHED {
        return refuse(
            RefusalKind::Busy,
            format!("{}: {what}: its peer has just ended it: try again with --tcp close", s.name()),
        );
    }
    let mut kept = state(s, quiet, &info)?;
    repair::queue(quiet.fd(), repair::RECEIVE)?;
    let received = peek(s, quiet, kernel::waiting(quiet.fd())?)?;
    if cx.held.door.is_empty() {
        let mut random = [0; 8];
        let flags = rustix::rand::GetRandomFlags::empty();
        rustix::rand::getrandom(&mut random, flags).about(|| "getting random bits".into())?;
        cx.held.door = format!("cryo-tcp-keeper-{}", cryo_format::prim::hex(&random)).into_bytes();
    }
    kept.door = Bytes(cx.held.door.clone());
    if !received.is_empty() {
        section.queue = vec![InetMessage { data: received, ..InetMessage::default() }].into();
    }
    section.state = State::KEPT;
    section.kept = vec![kept].into();
    cx.out.note(s.name(), format!("{what}: goes on when it is thawed (--tcp keep)"));
    cx.out.add(s.d.id, section);
    Ok(true)
}

fn state(s: &Socket<'_>, quiet: &Quiet, info: &Info) -> Result<Kept> {
    let fd = quiet.fd();
    let option = |name: u32| kernel::number(fd, repair::TCP, name);
    repair::queue(fd, repair::RECEIVE)?;
    let receive_seq = option(repair::TCP_QUEUE_SEQ)?;
    repair::queue(fd, repair::SEND)?;
    let send_seq = option(repair::TCP_QUEUE_SEQ)?;
    let sent = peek(s, quiet, kernel::unsent(fd)?)?;
    let window = kernel::ask(fd, repair::TCP, repair::TCP_REPAIR_WINDOW, &[], 20)?;
    let word = |i: usize| window.get(i * 4..).and_then(|b| b.first_chunk()).map_or(0, |b| u32::from_le_bytes(*b));
    Ok(Kept {
        send_seq,
        receive_seq,
        not_sent: kernel::not_sent(fd)? as u32,
        mss: option(libc::TCP_MAXSEG as u32)?,
        options: info.byte(5) & CARRIED,
        send_scale: info.byte(6) & 15,
        receive_scale: info.byte(6) >> 4,
        timestamp: option(repair::TCP_TIMESTAMP)?,
        send_wl1: word(0),
        send_window: word(1),
        max_window: word(2),
        receive_window: word(3),
        receive_wup: word(4),
        sent,
        door: Bytes::default(),
    })
}

/// The bytes of the queue that is set.
fn peek(s: &Socket<'_>, quiet: &Quiet, len: usize) -> Result<Blob> {
    if len == 0 {
        return Ok(Blob::default());
    }
    let seen = kernel::peek(quiet.fd(), len)?.unwrap_or_default();
    if seen.data.len() != len {
        return refuse(
            RefusalKind::Socket,
            format!("{}: of {len} bytes in it {} can be seen: {}", s.name(), seen.data.len(), way(s)),
        );
    }
    Ok(seen.data.into())
}
