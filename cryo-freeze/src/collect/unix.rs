//! `UNIX`: unix sockets whose other end is in the process, too; listeners; sockets without a peer.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use cryo_format::prim::{Bytes, List};
use cryo_format::section::unix::{State, Unix, UnixMessage};
use cryo_tracee::sock_diag::UnixSocket;
use cryo_tracee::sockets as kernel;

use super::description::{Cx, Description};
use super::socket::{self, Socket, way};
use super::{RefusalKind, ancillary, peers, refuse};
use crate::Result;
use crate::options::Ends;

const TCP_LISTEN: u8 = 10;
/// Both directions shut down.
const SHUTDOWN_MASK: u32 = 3;

/// What is at the other end.
enum End {
    Nothing,
    Closed,
    Inside(u64),
    Listener(u64, u32),
    Outside,
}

/// Adds it.
pub fn collect(cx: &mut Cx<'_>, s: &Socket<'_>) -> Result<bool> {
    let ino = s.ino() as u32;
    let known = cx.sockets.unix()?;
    let Some(own) = known.by_ino.get(&ino).cloned() else {
        return refuse(
            RefusalKind::Socket,
            format!("{} is of another network namespace, which is not carried: {}", s.name(), way(s)),
        );
    };
    let place = known.waiting.get(&ino).copied();
    let listens = own.state == TCP_LISTEN;
    let end = end(cx, s, &own, place);
    let close = cx.options.unix == Ends::Close;
    if matches!(end, End::Outside) && (!close || s.standard()) {
        cx.why = Some(format!(
            "the other end of this unix socket{} is in another process; --unix close lets the program find it closed",
            named(&own.name)
        ));
        return Ok(false);
    }
    let open_flags = s.open_flags();
    let mut section = Unix {
        kind: s.kind,
        open_flags,
        name: Bytes(own.name.clone()),
        shutdown: own.shutdown.into(),
        options: socket::options(cx, s, &[])?,
        filter: socket::filter(s)?,
        ..Unix::default()
    };
    file(cx, s, &own, &mut section);
    let stream = s.kind as i32 == libc::SOCK_STREAM;
    let datagrams = s.kind as i32 == libc::SOCK_DGRAM;
    match end {
        End::Nothing => {}
        End::Inside(peer) => (section.state, section.peer) = (State::CONNECTED, peer),
        End::Listener(listener, place) => {
            (section.state, section.peer, section.place) = (State::WAITING, listener, place);
            if kernel::unsent(&s.fd)? != 0 {
                return refuse(
                    RefusalKind::Busy,
                    format!(
                        "{}: it has written into a connection that nobody has accepted yet: try again when it is, or {}",
                        s.name(),
                        way(s)
                    ),
                );
            }
        }
        End::Closed | End::Outside => {
            section.state = State::ALONE;
            if matches!(end, End::Outside) {
                cx.out.note(s.name(), format!("its other end{} is closed (--unix close)", named(&own.name)));
                section.shutdown = if datagrams { section.shutdown } else { SHUTDOWN_MASK };
            }
            if !datagrams && kernel::events(&s.fd)? & libc::POLLERR != 0 {
                section.error = libc::ECONNRESET as u32;
            }
        }
    }
    if listens {
        (section.state, section.backlog) = (State::LISTENING, own.backlog);
        dropped(cx, s, &own)?;
    } else if stream {
        let data: Vec<u8> = ancillary::peeked(cx, s)?.into_iter().flat_map(|piece| piece.data).collect();
        let message = UnixMessage { data: data.into(), ..UnixMessage::default() };
        section.queue = if message.data.is_empty() { List::default() } else { vec![message].into() };
    } else {
        section.queue = packets(cx, s)?;
    }
    if section.state != State::FREE {
        peers::collect(cx, s)?;
    }
    cx.out.add(s.d.id, section);
    Ok(true)
}

fn named(name: &[u8]) -> String {
    match name {
        [] => String::new(),
        [0, rest @ ..] => format!(" (@{})", String::from_utf8_lossy(rest)),
        path => format!(" ({})", String::from_utf8_lossy(path)),
    }
}

fn inside<'c>(cx: &Cx<'c>, s: &Socket<'_>, ino: u32) -> Option<&'c Description<'c>> {
    cx.with_inode(s.d.first().meta.dev(), ino.into()).next()
}

fn end(cx: &Cx<'_>, s: &Socket<'_>, own: &UnixSocket, place: Option<(u32, u32)>) -> End {
    match (own.peer, place) {
        (None, _) => End::Nothing,
        (Some(_), Some((listener, place))) => match inside(cx, s, listener) {
            Some(d) => End::Listener(d.id, place),
            None => End::Outside,
        },
        (Some(0), None) => End::Closed,
        // Standard descriptors are the thawer's: what leads to one of them leads outside.
        (Some(ino), None) => match inside(cx, s, ino) {
            Some(d) => End::Inside(d.id),
            None => End::Outside,
        },
    }
}

/// Those who wait at a listener and are not in the image cannot come back.
fn dropped(cx: &mut Cx<'_>, s: &Socket<'_>, own: &UnixSocket) -> Result<()> {
    let lost = own.waiting.iter().filter(|ino| **ino == 0 || inside(cx, s, **ino).is_none()).count();
    if lost == 0 {
        return Ok(());
    }
    if cx.options.unix != Ends::Close {
        return refuse(
            RefusalKind::Socket,
            format!(
                "{}{}: {lost} connections from other processes wait to be accepted: use --unix close to drop them, or {}",
                s.name(),
                named(&own.name),
                way(s)
            ),
        );
    }
    cx.out.note(s.name(), format!("{lost} connections that waited to be accepted are dropped (--unix close)"));
    Ok(())
}

/// Whether the socket's file is still where its name says, and whose it is.
fn file(cx: &Cx<'_>, s: &Socket<'_>, own: &UnixSocket, section: &mut Unix) {
    let Some((ino, _)) = own.file.filter(|_| own.name.first().is_some_and(|b| *b != 0)) else { return };
    // The kernel counts the zero byte at the end of a path.
    let path = own.name.strip_suffix(b"\0").unwrap_or(&own.name);
    section.name = Bytes(path.to_vec());
    let path = Path::new(OsStr::from_bytes(path));
    let there = |directory: &[u8]| {
        let meta = Path::new(OsStr::from_bytes(directory)).join(path).symlink_metadata().ok()?;
        (meta.file_type().is_socket() && meta.ino() == u64::from(ino)).then_some(meta)
    };
    // Where it was bound it need not be any more (a daemon changes to /): another member may be.
    let mut directories = vec![Vec::new()];
    if path.is_relative() {
        let all = [cx.of(s.d.first())].into_iter().chain(cx.scenes);
        directories = all.map(|scene| scene.link("cwd").unwrap_or_default()).collect();
    }
    let found = directories.iter().find_map(|directory| Some((directory, there(directory)?)));
    if let Some((_, meta)) = &found {
        (section.mode, section.uid, section.gid) = (meta.mode(), meta.uid(), meta.gid());
    }
    section.directory = found.map_or_else(|| directories[0].clone(), |(directory, _)| directory.clone()).into();
}

/// The messages of a socket that keeps them apart.
fn packets(cx: &mut Cx<'_>, s: &Socket<'_>) -> Result<List<UnixMessage>> {
    let mut queue = Vec::new();
    for m in ancillary::peeked(cx, s)? {
        let from = m.from.get(2..).unwrap_or_default();
        let from = if from.first() == Some(&0) { from } else { from.strip_suffix(b"\0").unwrap_or(from) };
        queue.push(UnixMessage { sender: from.into(), data: m.data.into() });
    }
    let strangers = queue.iter().filter(|m| !m.sender.is_empty() && !from_inside(cx, s, &m.sender)).count();
    if strangers > 0 {
        if cx.options.unix != Ends::Close {
            return refuse(
                RefusalKind::Socket,
                format!(
                    "{}: {strangers} messages from named sockets of other processes wait in it: use --unix close to forget who sent them, or {}",
                    s.name(),
                    way(s)
                ),
            );
        }
        let inside: Vec<bool> = queue.iter().map(|m| from_inside(cx, s, &m.sender)).collect();
        for (m, _) in queue.iter_mut().zip(inside).filter(|(_, inside)| !inside) {
            m.sender = Bytes::default();
        }
        cx.out.note(s.name(), format!("who sent {strangers} of its messages is forgotten (--unix close)"));
    }
    Ok(queue.into())
}

fn from_inside(cx: &mut Cx<'_>, s: &Socket<'_>, name: &[u8]) -> bool {
    let Ok(known) = cx.sockets.unix() else { return false };
    let same = known.by_ino.values().filter(|o| o.name.strip_suffix(b"\0").unwrap_or(&o.name) == name);
    let inodes: Vec<u32> = same.map(|o| o.ino).collect();
    inodes.into_iter().any(|ino| inside(cx, s, ino).is_some())
}
