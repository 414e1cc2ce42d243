//! `UNIX`: unix sockets. One end is nothing without the other, and a connection needs its listener: the first that is asked for brings all.

use std::collections::HashMap;

use cryo_format::section::unix::{State, Unix};
use cryo_tracee::Host;

use super::sockets::{self, Wide};
use super::table::Table;
use super::unix_socket::{Filling, Making, Us};
use super::{ancillary, open, unix_dgram};
use crate::Result;
use crate::error::{RefusalKind, refuse};

const SOCK_DGRAM: u32 = libc::SOCK_DGRAM as u32;

/// Makes all of them.
pub fn restore(host: &mut Host, table: &mut Table<'_>, _fd: u32, id: u64) -> Result<Option<u64>> {
    if table.section::<Unix>(id).is_none() {
        return Ok(None);
    }
    // What the person replaced is not there, and for who was connected to it, it is closed.
    let all: Vec<(u64, &Unix)> =
        table.all::<Unix>().into_iter().filter(|(id, _)| table.number(*id).is_some()).collect();
    let by_id: HashMap<u64, &Unix> = all.iter().copied().collect();
    let mut bearers = HashMap::new();
    for (_, s) in &all {
        *bearers.entry((s.name.as_slice(), s.kind)).or_default() += 1;
    }
    let here = open::open(host, b".", libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC)??;
    let mut making = Making {
        us: Us::of(host, table)?,
        host,
        table,
        by_id,
        made: HashMap::new(),
        bearers,
        listeners: HashMap::new(),
        fillings: Vec::new(),
        spare: Vec::new(),
        files: HashMap::new(),
        scratch: Vec::new(),
        gone: Vec::new(),
        owners: Vec::new(),
    };
    making.streams(&all)?;
    let datagrams = unix_dgram::make(&mut making, &all)?;
    making.fill_all()?;
    unix_dgram::fill_and_connect(&mut making, &datagrams)?;
    making.settle_files()?;
    let Making { host, table, made, spare, .. } = making;
    for fd in spare {
        sockets::close(host, fd)?;
    }
    host.call(libc::SYS_fchdir, [here, 0, 0, 0, 0, 0])?;
    sockets::close(host, here)?;
    let Some(own) = made.get(&id).map(|m| m.at) else {
        return refuse(RefusalKind::Socket, format!("description {id}: a unix socket that cannot be made"));
    };
    for (id, m) in made {
        sockets::late(
            &table.options.notes,
            &m.ours,
            m.fd,
            &m.section.options,
            &m.section.filter,
            m.section.open_flags,
        )?;
        table.made(host, id, m.at)?;
    }
    Ok(Some(own))
}

impl<'a> Making<'_, '_, 'a> {
    /// All that have connections, streams and packets.
    fn streams(&mut self, all: &[(u64, &'a Unix)]) -> Result<()> {
        let of = |state: State| all.iter().filter(move |(_, s)| s.kind != SOCK_DGRAM && s.state == state).copied();
        for (id, s) in of(State::FREE).chain(of(State::LISTENING)) {
            let at = self.lone(id, s)?;
            self.bind(at, s)?;
            if s.state == State::LISTENING {
                let who = self.peer(id);
                self.by(who, |host| sockets::listen(host, at, s.backlog))?;
                self.listeners.insert(&s.name, at);
            }
            self.shutdown(id)?;
        }
        for (id, s) in of(State::CONNECTED) {
            match self.by_id.get(&s.peer).copied() {
                Some(other) if id < s.peer => self.connection(id, s, Some((s.peer, other)))?,
                Some(other) if id != s.peer && other.peer == id && other.kind == s.kind => {}
                None if self.table.section::<Unix>(s.peer).is_some() => self.connection(id, s, None)?,
                _ => return self.no_end(id),
            }
        }
        for (id, s) in of(State::ALONE) {
            self.connection(id, s, None)?;
        }
        let mut waiting: Vec<_> = of(State::WAITING).collect();
        waiting.sort_by_key(|(_, s)| s.place);
        for (id, s) in waiting {
            let Some(listener) = self.by_id.get(&s.peer).filter(|l| l.state == State::LISTENING).copied() else {
                return self.no_end(id);
            };
            let at = self.lone(id, s)?;
            self.bind(at, s)?;
            let Some(there) = self.made.get(&s.peer).map(|m| m.at) else { return self.no_end(id) };
            self.connect(at, there, listener, None)?;
            self.shutdown(id)?;
        }
        Ok(())
    }

    /// Both ends of a connection; `None` for one that is closed.
    fn connection(&mut self, id: u64, s: &'a Unix, other: Option<(u64, &'a Unix)>) -> Result<()> {
        // The end that was accepted bears its listener's name, which it can get from there only. What its other end says of who listened is another one than
        // what it says itself of who connected.
        let other_id = other.map(|(id, _)| id);
        let apart = other_id.is_some_and(|other| self.peer(id) != self.peer(other));
        let needs = |s: &Unix| !s.name.is_empty() && self.needs_listener(s);
        let may = |s: &Unix| apart && !s.name.is_empty();
        let (a, b) = match other {
            _ if needs(s) || may(s) && !other.is_some_and(|(_, o)| needs(o)) => self.accept((id, s), other)?,
            Some((other_id, o)) if needs(o) || may(o) => {
                let (b, a) = self.accept((other_id, o), Some((id, s)))?;
                (a, b)
            }
            o => {
                let (a, b) = self.pair(id, s.kind)?;
                self.bind(a, s)?;
                if let Some((_, o)) = o {
                    self.bind(b, o)?;
                }
                (a, b)
            }
        };
        let a = self.adopt(id, s, a)?;
        let Some((other_id, o)) = other else {
            let b = self.table.park(self.host, b)?;
            let ours = self.table.take(b)?;
            self.fillings.push(Filling { id, from: b, ours, alone: true });
            return Ok(());
        };
        let b = self.adopt(other_id, o, b)?;
        for (id, from) in [(id, b), (other_id, a)] {
            let ours = self.table.take(from)?;
            self.fillings.push(Filling { id, from, ours, alone: false });
        }
        Ok(())
    }

    /// Puts into the ends of connections what waits in them, when whatever may travel with it is made.
    fn fill_all(&mut self) -> Result<()> {
        let fillings = std::mem::take(&mut self.fillings);
        fillings.iter().try_for_each(|filling| self.fill(filling))?;
        for Filling { id, from, ours, alone } in fillings {
            drop(ours);
            let Some((at, s)) = self.made.get(&id).map(|m| (m.at, m.section)) else { continue };
            if !alone || s.kind == SOCK_DGRAM {
                self.shutdown(id)?;
            }
            if alone {
                if s.error != 0 {
                    // An end that is closed before it has read everything leaves ECONNRESET behind.
                    self.send(at, b"!", &[], None)??;
                }
                sockets::close(self.host, from)?;
            }
        }
        Ok(())
    }

    fn fill(&mut self, filling: &Filling) -> Result<()> {
        let Filling { id, from, ours, .. } = filling;
        let Some(s) = self.made.get(id).map(|m| m.section) else { return Ok(()) };
        let wide = Wide::new(ours)?;
        if s.kind == libc::SOCK_STREAM as u32 {
            self.pour(*id, s, *from)?;
        } else {
            let travels = ancillary::by_place(self.table, *id, s)?;
            for (place, m) in s.queue.iter().enumerate() {
                self.send(*from, &m.data, &[], travels.get(&(place as u64)).copied())??;
            }
        }
        wide.narrow()
    }

    /// Does its name belong to a listener, here or of former times?
    fn needs_listener(&self, s: &Unix) -> bool {
        let alike = self.bearers.get(&(s.name.as_slice(), s.kind));
        self.listeners.contains_key(s.name.as_slice()) || alike.is_some_and(|n| *n > 1)
    }

    /// A connection through the listener of that name, or one made for it: the accepted end and the other.
    fn accept(&mut self, accepted: (u64, &'a Unix), other: Option<(u64, &'a Unix)>) -> Result<(u64, u64)> {
        let (id, accepted) = accepted;
        let listener = if let Some(listener) = self.listeners.get(accepted.name.as_slice()) {
            *listener
        } else {
            let made = sockets::make(self.host, libc::AF_UNIX as u32, accepted.kind, 0)?;
            let made = self.table.park(self.host, made)?;
            self.bind(made, accepted)?;
            let listened = other.and_then(|(other, _)| self.peer(other));
            self.by(listened, |host| sockets::listen(host, made, 1))?;
            self.listeners.insert(&accepted.name, made);
            self.spare.push(made);
            made
        };
        let client = sockets::make(self.host, libc::AF_UNIX as u32, accepted.kind, 0)?;
        if let Some((_, o)) = other {
            self.bind(client, o)?;
        }
        let connected = self.peer(id);
        self.connect(client, listener, accepted, connected)?;
        Ok((sockets::accept(self.host, listener)?, client))
    }
}
