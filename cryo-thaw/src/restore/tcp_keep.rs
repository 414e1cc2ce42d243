//! Connections of `INET` to the outside that go on (`TCP_REPAIR`). They are made with the other sockets, and come to life when the pages are
//! there: until then a thaw that fails leaves the connection as it is.

use std::os::fd::OwnedFd;

use cryo_format::section::inet::{Inet, Kept, State};
use cryo_format::section::origin::Origin;
use cryo_tracee::repair::{
    self, RECEIVE, SEND, TCP, TCP_QUEUE_SEQ, TCP_REPAIR, TCP_REPAIR_OPTIONS, TCP_REPAIR_WINDOW, TCP_TIMESTAMP,
};
use cryo_tracee::{Host, sockets as socket};

use super::inet_socket::{Made, make, recorded};
use super::sockets::{self, Wide};
use super::table::Table;
use crate::Result;
use crate::elapsed::since;
use crate::error::{RefusalKind, reason, refuse};
use crate::options::Tcp;

const SOL_SOCKET: u32 = libc::SOL_SOCKET as u32;
const RCVLOWAT: u32 = libc::SO_RCVLOWAT as u32;
const REUSEADDR: u32 = libc::SO_REUSEADDR as u32;
/// Bytes put into a queue at once.
const PIECE: usize = 16 << 10;
/// Codes of TCP_REPAIR_OPTIONS (linux/tcp.h): the TCP options' own numbers.
const MSS: u32 = 2;
const WINDOW: u32 = 3;
const SACK: u32 = 4;
const TIMESTAMPS: u32 = 8;

/// A socket in repair, not connected.
pub fn begin<'a>(host: &mut Host, table: &mut Table<'_>, id: u64, s: &'a Inet) -> Result<Made<'a>> {
    let m = make(host, table, id, s)?;
    match socket::set_option(&m.ours, TCP, TCP_REPAIR, &1_i32.to_le_bytes()) {
        Ok(()) => Ok(m),
        Err(e) => refuse(
            RefusalKind::Permission,
            format!(
                "fd {}: going on with TCP {} - {} needs CAP_NET_ADMIN ({e}): thaw as root, or use --tcp close",
                m.fd,
                s.local.plain(s.family),
                s.remote.plain(s.family),
                e = reason(&e)
            ),
        ),
    }
}

/// Brings all of them to life.
pub fn late(_host: &mut Host, table: &Table<'_>) -> Result<()> {
    let all: Vec<(u32, &Inet)> = table
        .all::<Inet>()
        .into_iter()
        .filter(|(_, s)| s.state == State::KEPT && table.options.tcp == Tcp::Keep)
        .filter_map(|(id, s)| Some((table.number(id)?, s)))
        .collect();
    if all.is_empty() {
        return Ok(());
    }
    // Between the keeper's last moment and our first, packets must not find a port without this connection: they would be answered by a reset.
    let mut guards = Vec::new();
    for (_, s) in &all {
        guards.push(guard(table, s)?);
    }
    let mut doors: Vec<&[u8]> = all.iter().flat_map(|(_, s)| &s.kept).map(|k| k.door.as_slice()).collect();
    doors.dedup();
    for door in doors.into_iter().filter(|d| !d.is_empty() && d.len() < 100) {
        repair::knock(door)?;
    }
    for (fd, s) in &all {
        for kept in &s.kept {
            revive(table, *fd, s, kept)?;
        }
    }
    for (ours, filter) in guards.into_iter().flatten() {
        repair::hear(&ours, &filter)?;
    }
    Ok(())
}

type Guard = (OwnedFd, Vec<u8>);

/// Makes the listeners on a connection's port deaf, or a deaf one where there is none; with the filters that they have afterwards.
fn guard(table: &Table<'_>, s: &Inet) -> Result<Vec<Guard>> {
    let mut guards = Vec::new();
    for (id, l) in table.all::<Inet>() {
        if l.state == State::LISTENING
            && l.local.port == s.local.port
            && let Some(fd) = table.number(id)
        {
            let ours = table.take(fd.into())?;
            repair::deafen(&ours)?;
            guards.push((ours, l.filter.to_vec()));
        }
    }
    if guards.is_empty() {
        let deaf = socket::socket(s.family, s.kind, s.protocol)?;
        socket::set_option(&deaf, TCP, TCP_REPAIR, &1_i32.to_le_bytes())?;
        repair::deafen(&deaf)?;
        // Another program may listen here: then it is as it is.
        if socket::bind(&deaf, &s.local.sockaddr(s.family)).is_ok() && socket::listen(&deaf, 1).is_ok() {
            guards.push((deaf, Vec::new()));
        }
    }
    Ok(guards)
}

fn revive(table: &Table<'_>, fd: u32, s: &Inet, kept: &Kept) -> Result<()> {
    let ours = table.take(fd.into())?;
    let set = |name: u32, value: &[u8]| socket::set_option(&ours, TCP, name, value);
    let (local, remote) = (s.local.plain(s.family), s.remote.plain(s.family));
    let received: Vec<u8> = s.queue.iter().flat_map(|m| m.data.iter().copied()).collect();
    for (queue, end, len) in [(SEND, kept.send_seq, kept.sent.len()), (RECEIVE, kept.receive_seq, received.len())] {
        repair::queue(&ours, queue)?;
        set(TCP_QUEUE_SEQ, &end.wrapping_sub(len as u32).to_le_bytes())?;
    }
    let connected = socket::bind(&ours, &s.local.sockaddr(s.family))
        .and_then(|()| socket::connect(&ours, &s.remote.sockaddr(s.family)));
    if let Err(e) = connected {
        let why = match e.errno() {
            Some(libc::EADDRNOTAVAIL | libc::EADDRINUSE) => {
                format!("{} is no address of this machine, or the connection goes on elsewhere here", local.ip())
            }
            _ => e.to_string(),
        };
        return refuse(
            RefusalKind::Socket,
            format!("fd {fd}: TCP {local} - {remote}: {why}: use --tcp close or --fd {fd}=null|FILE"),
        );
    }
    let mut options = vec![(MSS, kept.mss)];
    if kept.options & 4 != 0 {
        options.push((WINDOW, kept.send_scale | kept.receive_scale << 16));
    }
    if kept.options & 2 != 0 {
        options.push((SACK, 0));
    }
    if kept.options & 1 != 0 {
        options.push((TIMESTAMPS, 0));
    }
    let bytes: Vec<u8> =
        options.iter().flat_map(|(code, value)| [code.to_le_bytes(), value.to_le_bytes()].concat()).collect();
    set(TCP_REPAIR_OPTIONS, &bytes)?;
    // It counts milliseconds, and has gone on: what the quiet socket has sent again by itself bears the time of then, and the peer drops what is older (PAWS, RFC 7323).
    // Since Linux 6.7 the lowest bit says that it counts microseconds, and stays.
    let gone = table.all::<Origin>().first().map_or(0, |(_, origin)| since(origin).as_millis() as u32 & !1);
    set(TCP_TIMESTAMP, &kept.timestamp.wrapping_add(gone).to_le_bytes())?;

    socket::set_option(&ours, SOL_SOCKET, RCVLOWAT, &i32::MAX.to_le_bytes())?;
    repair::queue(&ours, RECEIVE)?;
    put(&ours, &received)?;
    socket::set_option(&ours, SOL_SOCKET, RCVLOWAT, recorded(s, RCVLOWAT).unwrap_or(&1_i32.to_le_bytes()))?;
    let wide = Wide::new(&ours)?;
    repair::queue(&ours, SEND)?;
    // The quiet socket has sent what there was room for in the peer's window, when its timers said so (a small window, a loss probe; seen on Linux 6.1 when it was quiet for
    // a second). Who acknowledges more than was sent, as the thawed one knows it, is not heard, and both send the same again for ever.
    let may_be_sent = (kept.sent.len().saturating_sub(kept.not_sent as usize)).max(kept.send_window as usize);
    let (on_its_way, not_sent) = kept.sent.split_at(may_be_sent.min(kept.sent.len()));
    put(&ours, on_its_way)?;
    let window = [kept.send_wl1, kept.send_window, kept.max_window, kept.receive_window, kept.receive_wup];
    set(TCP_REPAIR_WINDOW, &window.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>())?;
    // From here on it talks; the first it says asks the peer where it stands.
    set(TCP_REPAIR, &0_i32.to_le_bytes())?;
    put(&ours, not_sent)?;
    wide.narrow()?;
    socket::set_option(&ours, SOL_SOCKET, REUSEADDR, recorded(s, REUSEADDR).unwrap_or(&[0; 4]))?;
    sockets::late(&table.options.notes, &ours, fd, &s.options, &s.filter, s.open_flags)?;
    table.options.notes.add(format!("fd {fd}: TCP {local} - {remote} goes on"));
    Ok(())
}

fn put(ours: &OwnedFd, data: &[u8]) -> Result<()> {
    let mut rest = data;
    while !rest.is_empty() {
        let n = socket::send(ours, &rest[..rest.len().min(PIECE)], &[])?;
        rest = &rest[n..];
    }
    Ok(())
}
