//! What the restorers of unix sockets share: a socket, its name and its file, and all that are under way.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::rc::Rc;

use cryo_format::section::peers::Peer;
use cryo_format::section::process::Process;
use cryo_format::section::unix::Unix;
use cryo_tracee::proc::Status;
use cryo_tracee::{Host, sock_diag, sockets as socket};
use tempfile::TempDir;

use super::sockets;
use super::table::Table;
use crate::Result;
use crate::bound_files::{BoundFile, NAME, Place, address};
use crate::error::{About, RefusalKind, reason, refuse};

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

/// What waits in the end of a connection, to be put there through the other one.
pub struct Filling {
    /// The description in which it waits.
    pub id: u64,
    /// Where the host has the other end.
    pub from: u64,
    /// Our duplicate of that.
    pub ours: OwnedFd,
    /// Is the other end to be closed then?
    pub alone: bool,
}

/// Who the host is, by which it would make all calls.
#[derive(Clone, Copy)]
pub struct Us {
    /// Its effective user and group.
    pub own: (u32, u32),
    /// The pid that the root had.
    pub root: u64,
    /// Has it got that?
    pub old: bool,
}

impl Us {
    /// Looks at it.
    pub fn of(host: &Host, table: &Table<'_>) -> Result<Self> {
        let status = Status::of(host.pid())?;
        let root = table.frost.get::<Process>(table.root()).map_or(0, |p| p.pid);
        let own = (status.ids("Uid")[1], status.ids("Gid")[1]);
        Ok(Self { own, root, old: status.inner("NSpid") == Some(root) })
    }
}

/// The work under way.
pub struct Making<'h, 't, 'a> {
    /// The host.
    pub host: &'h mut Host,
    /// Who it is.
    pub us: Us,
    /// Its descriptors.
    pub table: &'t mut Table<'a>,
    /// All that shall be.
    pub by_id: HashMap<u64, &'a Unix>,
    /// All that is, by description.
    pub made: HashMap<u64, Made<'a>>,
    /// How many of a kind have the same name.
    pub bearers: HashMap<(&'a [u8], u32), usize>,
    /// Who listens, by name.
    pub listeners: HashMap<&'a [u8], u64>,
    /// What waits in the ends of connections: put there when all sockets are made, which may travel with it.
    pub fillings: Vec<Filling>,
    /// Helpers that are closed at the end.
    pub spare: Vec<u64>,
    /// Files of sockets that are not under their names, held by the host, by where it has the sockets.
    pub files: HashMap<u64, u64>,
    /// The directories that they are in, which go when the work is done.
    pub scratch: Vec<TempDir>,
    /// Files that were not there when it was frozen: they are of use only while the others are made.
    pub gone: Vec<Rc<BoundFile>>,
    /// Files with the user and group that they belong to, and the inodes of their sockets.
    pub owners: Vec<(Rc<BoundFile>, (u32, u32), u32)>,
}

impl<'a> Making<'_, '_, 'a> {
    /// The number of a description, for messages.
    fn number(&self, id: u64) -> u32 {
        self.table.number(id).unwrap_or_default()
    }

    /// The other end is not what it should be.
    pub fn no_end<T>(&self, id: u64) -> Result<T> {
        let fd = self.number(id);
        refuse(
            RefusalKind::Socket,
            format!("fd {fd}: the other end of this unix socket is not in the image: use --fd {fd}=null|FILE"),
        )
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

    /// connect(2) to the socket `to`, which the host has at `there`, by `who`.
    pub fn connect(&mut self, at: u64, there: u64, to: &Unix, who: Option<&Peer>) -> Result<()> {
        let address = self.reach(there, to)?;
        match self.by(who, |host| sockets::with_address(host, libc::SYS_connect, at, &address))? {
            Ok(_) => Ok(()),
            Err(e) => refuse(RefusalKind::Socket, format!("unix socket {}: {e}", shown(&to.name), e = reason(&e))),
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
            Err(e) => refuse(
                RefusalKind::Socket,
                format!("unix socket {}: its directory {}: {e}", shown(&s.name), s.directory, e = reason(&e)),
            ),
        }
    }

    /// socketpair(2) by who made that of `id`, both parked: where a socket is, is how it is found again.
    pub fn pair(&mut self, id: u64, kind: u32) -> Result<(u64, u64)> {
        let who = self.peer(id);
        let (a, b) = self.by(who, |host| sockets::pair(host, kind))?;
        Ok((self.table.park(self.host, a)?, self.table.park(self.host, b)?))
    }

    /// Who is at the other end of a description.
    pub fn peer(&self, id: u64) -> Option<&'a Peer> {
        self.table.section(id)
    }

    /// bind(2), if it has a name.
    pub fn bind(&mut self, at: u64, s: &Unix) -> Result<()> {
        let Some(first) = s.name.first() else { return Ok(()) };
        if s.name.len() > NAME {
            return refuse(RefusalKind::Socket, format!("unix socket {}: its name is too long", shown(&s.name)));
        }
        let file = *first != 0;
        if file && s.mode == 0 && self.bind_gone(at, s)? {
            return Ok(());
        }
        let place = file.then(|| self.place(s)).transpose()?;
        self.enter(s)?;
        // So its file is born with its mode (of which only the permissions count), and with the owner that the host's rights give it: there is no
        // moment at which it could be mistaken for another, and no path is changed afterwards.
        // One whose file was gone has no mode, and may have to be connected to here.
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
            return refuse(
                RefusalKind::Socket,
                format!("unix socket {}: {why}: end what uses it, or use --fd N=null|FILE for it", shown(&s.name)),
            );
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
    pub fn settle_files(&mut self) -> Result<()> {
        {
            let _entered = self.table.paths.rights.enter()?;
            self.gone.drain(..).try_for_each(|file| file.remove())?;
            self.table.bound.remove_directories();
        }
        if self.owners.is_empty() {
            return Ok(());
        }
        let known = sock_diag::unix()?;
        for (file, (uid, gid), socket) in self.owners.drain(..) {
            let made = known.get(&socket).and_then(|s| s.file).map(|(ino, _)| ino);
            // With our own rights: to give a file away is root's.
            file.give(&self.table.options.notes, uid, gid, made)?;
        }
        Ok(())
    }
}

/// A name, for messages.
pub fn shown(name: &[u8]) -> String {
    match name {
        [0, rest @ ..] => format!("@{}", String::from_utf8_lossy(rest)),
        path => String::from_utf8_lossy(path).into_owned(),
    }
}
