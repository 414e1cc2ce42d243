//! Unix sockets of datagrams: who is connected to whom is no symmetric thing there, and who may send is decided by it.

use std::collections::HashMap;

use cryo_format::section::unix::{State, Unix};

use super::sockets::{self, Wide};
use super::unix_socket::Making;
use crate::Result;
use crate::error::{About, refuse};

/// Makes, fills and connects them.
pub fn all<'a>(making: &mut Making<'_, '_, 'a>, all: &[(u64, &'a Unix)]) -> Result<()> {
    let mine: Vec<(u64, &Unix)> = all.iter().filter(|(_, s)| s.kind == libc::SOCK_DGRAM as u32).copied().collect();
    // Whoever has no name can have been connected to only by socketpair(2).
    let mut targets: HashMap<u64, u64> = HashMap::new();
    for &(id, s) in &mine {
        if making.made.contains_key(&id) {
            continue;
        }
        let peer = making.by_id.get(&s.peer).filter(|_| s.state == State::CONNECTED).copied();
        match peer {
            Some(o) if o.name.is_empty() || s.name.is_empty() && o.peer == id => {
                if o.peer != id || o.kind != s.kind || id == s.peer {
                    return making.no_end(id);
                }
                let (a, b) = making.pair(s.kind)?;
                making.bind(a, s)?;
                making.bind(b, o)?;
                making.adopt(id, s, a)?;
                making.adopt(s.peer, o, b)?;
            }
            Some(_) => {
                let at = making.lone(id, s)?;
                making.bind(at, s)?;
                targets.insert(id, s.peer);
            }
            None if s.state == State::FREE => {
                let at = making.lone(id, s)?;
                making.bind(at, s)?;
            }
            None => alone(making, id, s)?,
        }
    }
    let mutual = |id: u64, peer: u64| making.by_id.get(&peer).is_some_and(|o| o.peer == id);
    // Those who talk only with each other are connected before they are filled: the kernel lets such a queue grow longer.
    let (first, mut later): (Vec<_>, Vec<_>) = targets.iter().map(|(id, peer)| (*id, *peer)).partition(|(id, peer)| {
        let only = |s: &Unix, other: &Unix| s.queue.iter().all(|m| m.sender == other.name);
        match (making.by_id.get(id), making.by_id.get(peer)) {
            (Some(a), Some(b)) => mutual(*id, *peer) && only(a, b) && only(b, a) && !contested(&targets, *id, *peer),
            _ => false,
        }
    });
    for (id, peer) in first {
        connect(making, id, peer)?;
    }
    for &(id, s) in &mine {
        if s.state != State::ALONE {
            fill(making, id, s)?;
        }
    }
    // Once it is connected, nobody but its peer can connect to a socket: who is waited for by none goes last.
    while !later.is_empty() {
        let ready =
            |(id, peer): &(u64, u64)| !later.iter().any(|(other, target)| target == id && other != peer && other != id);
        let Some(i) = later.iter().position(ready) else {
            return making.no_end(later[0].0);
        };
        let (id, peer) = later.swap_remove(i);
        connect(making, id, peer)?;
    }
    mine.iter().filter(|(_, s)| s.state != State::ALONE).try_for_each(|(id, _)| making.shutdown(*id))
}

/// Does a third one want to be connected to one of the two?
fn contested(targets: &HashMap<u64, u64>, a: u64, b: u64) -> bool {
    targets.iter().any(|(id, target)| ![a, b].contains(id) && [a, b].contains(target))
}

fn connect(making: &mut Making<'_, '_, '_>, id: u64, peer: u64) -> Result<()> {
    let at = |id| making.made.get(&id).map(|m| m.at);
    let (Some(from), Some(there), Some(to)) = (at(id), at(peer), making.by_id.get(&peer).copied()) else {
        return making.no_end(id);
    };
    making.connect(from, there, to)
}

/// One whose peer is closed.
fn alone<'a>(making: &mut Making<'_, '_, 'a>, id: u64, s: &'a Unix) -> Result<()> {
    let (a, b) = making.pair(s.kind)?;
    making.bind(a, s)?;
    making.adopt(id, s, a)?;
    let b = making.table.park(making.host, b)?;
    let ours = making.table.take(b)?;
    let wide = Wide::new(&ours)?;
    for m in &s.queue {
        sockets::send(making.host, b, &m.data, &[])??;
    }
    wide.narrow()?;
    making.shutdown(id)?;
    drop(ours);
    sockets::close(making.host, b)
}

/// Sends each message again: from the socket that bears its sender's name, from its peer, from one without a name.
fn fill(making: &mut Making<'_, '_, '_>, id: u64, s: &Unix) -> Result<()> {
    for m in &s.queue {
        let sender = if m.sender.is_empty() {
            making.made.get(&s.peer).filter(|p| p.section.name.is_empty())
        } else {
            making.made.values().find(|o| o.section.name == m.sender && o.section.kind == s.kind)
        };
        let sender = sender.map(|o| o.ours.try_clone().map(|ours| (o.at, ours))).transpose();
        let (at, ours) = match sender.about(|| "duplicating a socket".into())? {
            Some(sender) => sender,
            None if s.name.is_empty() => return making.no_end(id),
            None => {
                let at = sockets::make(making.host, libc::AF_UNIX as u32, s.kind, 0)?;
                let at = making.table.park(making.host, at)?;
                making.spare.push(at);
                (at, making.table.take(at)?)
            }
        };
        let to = match making.made.get(&id).map(|m| m.at) {
            Some(there) if !s.name.is_empty() => making.reach(there, s)?,
            _ => Vec::new(),
        };
        let wide = Wide::new(&ours)?;
        if let Err(e) = sockets::send(making.host, at, &m.data, &to)? {
            let fd = making.table.number(id).unwrap_or_default();
            return refuse(format!(
                "fd {fd}: a message that waited in this unix socket cannot be put back: {e}: use --fd {fd}=null|FILE"
            ));
        }
        wide.narrow()?;
    }
    Ok(())
}
