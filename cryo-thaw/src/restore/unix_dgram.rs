//! Unix sockets of datagrams: who is connected to whom is no symmetric thing there, and who may send is decided by it.

use std::collections::HashMap;

use cryo_format::section::unix::{State, Unix};

use super::ancillary;
use super::sockets::{self, Wide};
use super::unix_socket::{Filling, Making};
use crate::Result;
use crate::error::{About, RefusalKind, reason, refuse};

/// Those of datagrams, and whom they are connected to when they are filled.
pub struct Datagrams<'a> {
    mine: Vec<(u64, &'a Unix)>,
    later: HashMap<u64, u64>,
}

/// Makes them, and connects those that are to be before they are filled.
pub fn make<'a>(making: &mut Making<'_, '_, 'a>, all: &[(u64, &'a Unix)]) -> Result<Datagrams<'a>> {
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
                let (a, b) = making.pair(id, s.kind)?;
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
    let callers = callers(&targets);
    let mutual = |id: u64, peer: u64| making.by_id.get(&peer).is_some_and(|o| o.peer == id);
    // Those who talk only with each other are connected before they are filled: the kernel lets such a queue grow longer.
    let (first, later): (HashMap<u64, u64>, HashMap<u64, u64>) = targets.iter().partition(|(id, peer)| {
        let only = |s: &Unix, other: &Unix| s.queue.iter().all(|m| m.sender == other.name);
        match (making.by_id.get(id), making.by_id.get(peer)) {
            (Some(a), Some(b)) => {
                mutual(**id, **peer) && only(a, b) && only(b, a) && !contested(&callers, **id, **peer)
            }
            _ => false,
        }
    });
    for (id, peer) in first {
        connect(making, id, peer)?;
    }
    Ok(Datagrams { mine, later })
}

/// Fills them, and connects the others.
pub fn fill_and_connect(making: &mut Making<'_, '_, '_>, Datagrams { mine, later }: &Datagrams<'_>) -> Result<()> {
    let named = making.made.iter().filter(|(_, o)| o.section.kind == libc::SOCK_DGRAM as u32);
    let by_name: HashMap<&[u8], u64> = named.map(|(id, o)| (o.section.name.as_slice(), *id)).collect();
    for &(id, s) in mine {
        if s.state != State::ALONE {
            fill(making, &by_name, id, s)?;
        }
    }
    match order(later) {
        Ok(order) => order.into_iter().try_for_each(|id| connect(making, id, later[&id]))?,
        Err(id) => return making.no_end(id),
    }
    mine.iter().filter(|(_, s)| s.state != State::ALONE).try_for_each(|(id, _)| making.shutdown(*id))
}

/// Who wants to be connected to each.
fn callers(targets: &HashMap<u64, u64>) -> HashMap<u64, Vec<u64>> {
    let mut callers: HashMap<u64, Vec<u64>> = HashMap::new();
    for (id, target) in targets {
        callers.entry(*target).or_default().push(*id);
    }
    callers
}

/// Does a third one want to be connected to one of the two?
fn contested(callers: &HashMap<u64, Vec<u64>>, a: u64, b: u64) -> bool {
    [a, b].iter().filter_map(|id| callers.get(id)).flatten().any(|id| ![a, b].contains(id))
}

/// In what order they are connected to their targets. Once it is connected, nobody but its peer can connect to a socket: each waits for all who want to
/// be connected to it, but for itself and its peer. The error is one of those who wait for each other in a circle.
fn order(targets: &HashMap<u64, u64>) -> std::result::Result<Vec<u64>, u64> {
    let waits = |id: u64, caller: u64| caller != id && targets.get(&id).is_some_and(|peer| *peer != caller);
    let mut awaited: HashMap<u64, usize> = targets.keys().map(|id| (*id, 0)).collect();
    for (caller, id) in targets {
        if waits(*id, *caller) {
            *awaited.entry(*id).or_default() += 1;
        }
    }
    let mut order: Vec<u64> = awaited.iter().filter(|(_, n)| **n == 0).map(|(id, _)| *id).collect();
    let mut done = 0;
    while let Some(&caller) = order.get(done) {
        done += 1;
        let id = targets[&caller];
        if waits(id, caller)
            && let Some(n) = awaited.get_mut(&id)
        {
            *n -= 1;
            if *n == 0 {
                order.push(id);
            }
        }
    }
    match awaited.into_iter().find(|(_, n)| *n > 0) {
        Some((id, _)) => Err(id),
        None => Ok(order),
    }
}

fn connect(making: &mut Making<'_, '_, '_>, id: u64, peer: u64) -> Result<()> {
    let at = |id| making.made.get(&id).map(|m| m.at);
    let (Some(from), Some(there), Some(to)) = (at(id), at(peer), making.by_id.get(&peer).copied()) else {
        return making.no_end(id);
    };
    making.connect(from, there, to, None)
}

/// One whose peer is closed.
fn alone<'a>(making: &mut Making<'_, '_, 'a>, id: u64, s: &'a Unix) -> Result<()> {
    let (a, b) = making.pair(id, s.kind)?;
    making.bind(a, s)?;
    making.adopt(id, s, a)?;
    let from = making.table.park(making.host, b)?;
    let ours = making.table.take(from)?;
    making.fillings.push(Filling { id, from, ours, alone: true });
    Ok(())
}

/// Sends each message again: from the socket that bears its sender's name, from its peer, from one without a name.
fn fill(making: &mut Making<'_, '_, '_>, by_name: &HashMap<&[u8], u64>, id: u64, s: &Unix) -> Result<()> {
    let travels = ancillary::by_place(making.table, id, s)?;
    for (place, m) in s.queue.iter().enumerate() {
        let with = travels.get(&(place as u64)).copied();
        let sender = if m.sender.is_empty() {
            making.made.get(&s.peer).filter(|p| p.section.name.is_empty())
        } else {
            by_name.get(m.sender.as_slice()).and_then(|id| making.made.get(id))
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
        if let Err(e) = making.send(at, &m.data, &to, with)? {
            let fd = making.table.number(id).unwrap_or_default();
            return refuse(
                RefusalKind::Socket,
                format!(
                    "fd {fd}: a message that waited in this unix socket cannot be put back: {e}: use --fd {fd}=null|FILE",
                    e = reason(&e)
                ),
            );
        }
        wide.narrow()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many sockets: with more than a few steps for each this would not end.
    const MANY: u64 = 100_000;

    fn places(targets: &HashMap<u64, u64>) -> HashMap<u64, usize> {
        let order = order(targets).unwrap();
        let places: HashMap<u64, usize> = order.iter().enumerate().map(|(place, id)| (*id, place)).collect();
        assert_eq!((order.len(), places.len()), (targets.len(), targets.len()), "each one once");
        places
    }

    #[test]
    fn callers_before_their_targets() {
        // A chain whose end is a pair, and many that call one that has no target.
        let mut targets: HashMap<u64, u64> = (1..MANY).map(|id| (id, id + 1)).collect();
        targets.insert(MANY, MANY - 1);
        targets.extend((2 * MANY..3 * MANY).map(|id| (id, 2 * MANY - 1)));
        let places = places(&targets);
        assert!((1..MANY - 1).all(|id| places[&id] < places[&(id + 1)]));
    }

    #[test]
    fn oneself_and_a_peer_are_not_waited_for() {
        assert_eq!(places(&HashMap::from([(1, 1), (2, 3), (3, 2)])).len(), 3);
    }

    #[test]
    fn nobody_is_first_in_a_circle() {
        let circle = HashMap::from([(1, 2), (2, 3), (3, 1), (4, 1)]);
        assert!((1..4).contains(&order(&circle).unwrap_err()));
    }

    #[test]
    fn a_third_caller_contests() {
        let callers = callers(&HashMap::from([(1, 2), (2, 1), (3, 4), (4, 3), (5, 4)]));
        assert!(!contested(&callers, 1, 2));
        assert!(contested(&callers, 3, 4));
    }
}
