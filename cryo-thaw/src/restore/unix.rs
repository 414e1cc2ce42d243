//! `UNIX`: unix sockets. One end is nothing without the other, and a connection needs its listener: the first that is asked for brings all.

use std::collections::HashMap;
use std::os::fd::OwnedFd;

use cryo_format::section::unix::{State, Unix};
use cryo_tracee::Host;

use super::sockets::{self, Wide};
use super::table::Table;
use super::unix_socket::Making;
use super::{open, unix_dgram};
use crate::Result;
use crate::error::{About, RefusalKind, refuse};

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
        host,
        table,
        by_id,
        made: HashMap::new(),
        bearers,
        listeners: HashMap::new(),
        spare: Vec::new(),
        files: HashMap::new(),
        scratch: Vec::new(),
        gone: Vec::new(),
        owners: Vec::new(),
    };
    making.streams(&all)?;
    unix_dgram::all(&mut making, &all)?;
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
                sockets::listen(self.host, at, s.backlog)?;
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
            self.connect(at, there, listener)?;
            self.shutdown(id)?;
        }
        Ok(())
    }

    /// Both ends of a connection, with what waits in them; `None` for one that is closed.
    fn connection(&mut self, id: u64, s: &'a Unix, other: Option<(u64, &'a Unix)>) -> Result<()> {
        // The end that was accepted bears its listener's name, which it can get from there only.
        let accepted = |s: &Unix| !s.name.is_empty() && self.needs_listener(s);
        let (a, b) = match other.map(|(_, o)| o) {
            _ if accepted(s) => self.accept(s, other.map(|(_, o)| o))?,
            Some(o) if accepted(o) => {
                let (b, a) = self.accept(o, Some(s))?;
                (a, b)
            }
            o => {
                let (a, b) = self.pair(s.kind)?;
                self.bind(a, s)?;
                if let Some(o) = o {
                    self.bind(b, o)?;
                }
                (a, b)
            }
        };
        let a = self.adopt(id, s, a)?;
        if let Some((other_id, o)) = other {
            let b = self.adopt(other_id, o, b)?;
            self.fill(id, b, other_id)?;
            self.fill(other_id, a, id)?;
            self.shutdown(id)?;
            return self.shutdown(other_id);
        }
        let b = self.table.park(self.host, b)?;
        let ours = self.table.take(b)?;
        self.fill_from(id, b, &ours)?;
        if s.error != 0 {
            // An end that is closed before it has read everything leaves ECONNRESET behind.
            sockets::send(self.host, a, b"!", &[])??;
        }
        drop(ours);
        sockets::close(self.host, b)
    }

    /// Fills the queue of `id` through the end `from` of `other`.
    fn fill(&mut self, id: u64, from: u64, other: u64) -> Result<()> {
        let Some(ours) =
            self.made.get(&other).map(|m| m.ours.try_clone()).transpose().about(|| "duplicating a socket".into())?
        else {
            return self.no_end(id);
        };
        self.fill_from(id, from, &ours)
    }

    fn fill_from(&mut self, id: u64, from: u64, ours: &OwnedFd) -> Result<()> {
        let Some(s) = self.made.get(&id).map(|m| m.section) else { return Ok(()) };
        if s.kind == libc::SOCK_STREAM as u32 {
            return s.queue.iter().try_for_each(|m| sockets::pour(self.host, from, ours, &m.data));
        }
        let wide = Wide::new(ours)?;
        for m in &s.queue {
            sockets::send(self.host, from, &m.data, &[])??;
        }
        wide.narrow()
    }

    /// Does its name belong to a listener, here or of former times?
    fn needs_listener(&self, s: &Unix) -> bool {
        let alike = self.bearers.get(&(s.name.as_slice(), s.kind));
        self.listeners.contains_key(s.name.as_slice()) || alike.is_some_and(|n| *n > 1)
    }

    /// A connection through the listener of that name, or one made for it: the accepted end and the other.
    fn accept(&mut self, accepted: &'a Unix, other: Option<&'a Unix>) -> Result<(u64, u64)> {
        let listener = if let Some(listener) = self.listeners.get(accepted.name.as_slice()) {
            *listener
        } else {
            let made = sockets::make(self.host, libc::AF_UNIX as u32, accepted.kind, 0)?;
            let made = self.table.park(self.host, made)?;
            self.bind(made, accepted)?;
            sockets::listen(self.host, made, 1)?;
            self.listeners.insert(&accepted.name, made);
            self.spare.push(made);
            made
        };
        let client = sockets::make(self.host, libc::AF_UNIX as u32, accepted.kind, 0)?;
        if let Some(o) = other {
            self.bind(client, o)?;
        }
        self.connect(client, listener, accepted)?;
        Ok((sockets::accept(self.host, listener)?, client))
    }
}
