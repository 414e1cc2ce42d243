//! `UNIX`: unix sockets. One end is nothing without the other, and a connection needs its listener: the first that is asked for brings all.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::rc::Rc;

use cryo_format::section::unix::{State, Unix};
use cryo_tracee::{Host, sock_diag, sockets as socket};

use super::sockets::{self, Wide};
use super::table::Table;
use super::{open, unix_dgram};
use crate::Result;
use crate::bound_files::{BoundFile, NAME, Place, address};
use crate::error::{About, refuse};

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
    let here = open::open(host, b".", libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC)??;
    let mut making = Making {
        host,
        table,
        by_id,
        made: HashMap::new(),
        listeners: HashMap::new(),
        spare: Vec::new(),
        gone: Vec::new(),
        owners: Vec::new(),
    };
    making.all(&all)?;
    making.settle_files()?;
    let Making { host, table, made, spare, .. } = making;
    for fd in spare {
        sockets::close(host, fd)?;
    }
    host.call(libc::SYS_fchdir, [here, 0, 0, 0, 0, 0])?;
    sockets::close(host, here)?;
    let Some(own) = made.get(&id).map(|m| m.at) else {
        return refuse(format!("description {id}: a unix socket that cannot be made"));
    };
    for (id, m) in made {
        sockets::late(&m.ours, m.fd, &m.section.options, &m.section.filter, m.section.open_flags)?;
        table.made(host, id, m.at)?;
    }
    Ok(Some(own))
}

/// A socket that is there.
pub struct Made<'a> {
    /// The descriptor that it is for.
    pub fd: u32,
    /// What it shall be.
    pub section: &'a Unix,
    /// Where the host has it.
    pub at: u64,
    /// Our duplicate.
    pub ours: OwnedFd,
}

/// The work under way.
pub struct Making<'h, 't, 'a> {
    /// The host.
    pub host: &'h mut Host,
    /// Its descriptors.
    pub table: &'t mut Table<'a>,
    /// All that shall be.
    pub by_id: HashMap<u64, &'a Unix>,
    /// All that is, by description.
    pub made: HashMap<u64, Made<'a>>,
    /// Who listens, by name.
    listeners: HashMap<&'a [u8], u64>,
    /// Helpers that are closed at the end.
    pub spare: Vec<u64>,
    /// Files that were not there when it was frozen: they are of use only while the others are made.
    gone: Vec<Rc<BoundFile>>,
    /// Files with the user and group that they belong to, and the inodes of their sockets.
    owners: Vec<(Rc<BoundFile>, (u32, u32), u32)>,
}

impl<'a> Making<'_, '_, 'a> {
    fn all(&mut self, all: &[(u64, &'a Unix)]) -> Result<()> {
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
            self.connect(at, listener)?;
            self.shutdown(id)?;
        }
        unix_dgram::all(self, all)
    }

    /// The number of a description, for messages.
    fn number(&self, id: u64) -> u32 {
        self.table.number(id).unwrap_or_default()
    }

    /// The other end is not what it should be.
    pub fn no_end<T>(&self, id: u64) -> Result<T> {
        let fd = self.number(id);
        refuse(format!("fd {fd}: the other end of this unix socket is not in the image: use --fd {fd}=null|FILE"))
    }

    /// A socket of its own.
    pub fn lone(&mut self, id: u64, s: &'a Unix) -> Result<u64> {
        let at = sockets::make(self.host, libc::AF_UNIX as u32, s.kind, 0)?;
        self.adopt(id, s, at)
    }

    /// Takes in what was made.
    pub fn adopt(&mut self, id: u64, s: &'a Unix, at: u64) -> Result<u64> {
        let at = self.table.park(self.host, at)?;
        let ours = self.table.take(at)?;
        let fd = self.number(id);
        sockets::early(&ours, fd, &s.options)?;
        self.made.insert(id, Made { fd, section: s, at, ours });
        Ok(at)
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
                let (a, b) = sockets::pair(self.host, s.kind)?;
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

    /// shutdown(2) as the program did it; the other end's bits follow.
    pub fn shutdown(&mut self, id: u64) -> Result<()> {
        let Some(m) = self.made.get(&id) else { return Ok(()) };
        // SHUT_RD 0, SHUT_WR 1, SHUT_RDWR 2: one less than the bits.
        if let Some(how) = m.section.shutdown.checked_sub(1) {
            match socket::shutdown(&m.ours, how) {
                Err(e) if e.errno() != Some(libc::ENOTCONN) => return Err(e.into()),
                _ => {}
            }
        }
        Ok(())
    }

    /// Does its name belong to a listener, here or of former times?
    fn needs_listener(&self, s: &Unix) -> bool {
        let alike = self.by_id.values().filter(|o| o.name == s.name && o.kind == s.kind).count();
        self.listeners.contains_key(s.name.as_slice()) || alike > 1
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
        self.connect(client, accepted)?;
        Ok((sockets::accept(self.host, listener)?, client))
    }

    /// connect(2) to the name of `to`.
    pub fn connect(&mut self, at: u64, to: &Unix) -> Result<()> {
        self.enter(to)?;
        match sockets::with_address(self.host, libc::SYS_connect, at, &address(&to.name))? {
            Ok(_) => Ok(()),
            Err(e) => refuse(format!("unix socket {}: {e}", shown(&to.name))),
        }
    }

    /// A relative name is looked at from where it was.
    pub fn enter(&mut self, s: &Unix) -> Result<()> {
        if s.directory.is_empty() {
            return Ok(());
        }
        let mut batch = self.host.batch()?;
        let at = batch.put(&[s.directory.as_slice(), b"\0"].concat());
        batch.call(libc::SYS_chdir, &[at.addr]);
        match self.host.run(batch)?.all() {
            Ok(()) => Ok(()),
            Err(e) => refuse(format!("unix socket {}: its directory {}: {e}", shown(&s.name), s.directory)),
        }
    }

    /// bind(2), if it has a name.
    pub fn bind(&mut self, at: u64, s: &Unix) -> Result<()> {
        let Some(first) = s.name.first() else { return Ok(()) };
        if s.name.len() > NAME {
            return refuse(format!("unix socket {}: its name is too long", shown(&s.name)));
        }
        let file = *first != 0;
        let place = file.then(|| self.place(s)).transpose()?;
        self.enter(s)?;
        // So its file is born with its mode (of which only the permissions count), and with the owner that the host's rights give it: there is no
        // moment at which it could be mistaken for another, and no path is changed afterwards.
        // One whose file was gone has no mode, and is connected to here.
        let mode = if s.mode == 0 { 0o600 } else { s.mode };
        let umask =
            file.then(|| self.host.call(libc::SYS_umask, [(!mode & 0o777).into(), 0, 0, 0, 0, 0])).transpose()?;
        let bound = sockets::with_address(self.host, libc::SYS_bind, at, &address(&s.name))?;
        if let Some(umask) = umask {
            self.host.call(libc::SYS_umask, [umask, 0, 0, 0, 0, 0])?;
        }
        if let Err(e) = bound {
            let why = match e.errno() {
                Some(libc::EADDRINUSE) => "another program has this name".to_owned(),
                Some(n) => std::io::Error::from_raw_os_error(n).to_string(),
                None => e.to_string(),
            };
            return refuse(format!(
                "unix socket {}: {why}: end what uses it, or use --fd N=null|FILE for it",
                shown(&s.name)
            ));
        }
        let Some(place) = place else { return Ok(()) };
        let bound = {
            let _entered = self.table.paths.rights.enter()?;
            place.bound()?
        };
        let bound = self.table.bound.add(bound);
        if s.mode == 0 {
            self.gone.push(bound);
        } else {
            let socket = std::fs::File::from(self.table.take(at)?).metadata().about(|| "looking at a socket".into())?;
            self.owners.push((bound, (s.uid, s.gid), socket.ino() as u32));
        }
        Ok(())
    }

    /// Where its file will be, made free. It is looked at as the program would.
    fn place(&self, s: &Unix) -> Result<Place> {
        let relative = !s.name.starts_with(b"/");
        let path = if relative { [&s.directory, &b"/"[..], &s.name].concat() } else { s.name.to_vec() };
        let rights = self.table.paths.rights;
        let _entered = rights.enter()?;
        let place = Place::of(&path)?;
        place.clear(rights)?;
        Ok(place)
    }

    /// When all of them are made: helpers' files go, the others get their owners.
    fn settle_files(&mut self) -> Result<()> {
        {
            let _entered = self.table.paths.rights.enter()?;
            self.gone.drain(..).try_for_each(|file| file.remove())?;
        }
        if self.owners.is_empty() {
            return Ok(());
        }
        let known = sock_diag::unix()?;
        for (file, (uid, gid), socket) in self.owners.drain(..) {
            let made = known.get(&socket).and_then(|s| s.file).map(|(ino, _)| ino);
            // With our own rights: to give a file away is root's.
            file.give(uid, gid, made)?;
        }
        Ok(())
    }
}

fn shown(name: &[u8]) -> String {
    match name {
        [0, rest @ ..] => format!("@{}", String::from_utf8_lossy(rest)),
        path => String::from_utf8_lossy(path).into_owned(),
    }
}
