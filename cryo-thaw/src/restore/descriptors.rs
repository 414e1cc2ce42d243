//! `FDTB`: descriptors at their numbers.
//!
//! Every description is first opened and parked above all numbers that the image uses; then each descriptor is duplicated from there to its
//! own number; then the parking place is closed.

use std::collections::HashMap;
use std::fs::File;
use std::io::IsTerminal;

use cryo_format::section::descriptors::Descriptors;
use cryo_format::section::files::OpenFile;
use cryo_format::section::outside::Outside;
use cryo_tracee::{Host, fds, proc};

use super::{files, outside};
use crate::Result;
use crate::error::refuse;
use crate::ice::Ice;
use crate::options::{Instead, Options};

/// The parking place.
pub struct Table<'a> {
    /// First number above all of the image's.
    base: u64,
    /// The thawer's own descriptors, by their numbers, where they are parked.
    inherited: HashMap<u32, u64>,
    /// Files without a name, by object: where they are parked, and our handle on them.
    unnamed: HashMap<u64, (u64, File)>,
    pidfd: &'a std::os::fd::OwnedFd,
}

impl Table<'_> {
    /// Where the thawer's own descriptor is parked.
    pub fn inherited(&self, fd: u32) -> Option<u64> {
        self.inherited.get(&fd).copied()
    }

    /// A further descriptor of a parked one's description.
    pub fn duplicate(&self, host: &mut Host, parked: u64) -> Result<u64> {
        Ok(host.call(libc::SYS_fcntl, [parked, libc::F_DUPFD_CLOEXEC as u64, self.base, 0, 0, 0])?)
    }

    /// The thawer's terminal: its controlling one, else the first of its standard descriptors that is one.
    pub fn terminal(&self, host: &mut Host) -> Result<Option<u64>> {
        if let Ok(opened) = files::open(host, b"/dev/tty", libc::O_RDWR | libc::O_CLOEXEC | libc::O_NOCTTY)? {
            return Ok(Some(opened));
        }
        let terminals = [std::io::stdin().is_terminal(), std::io::stdout().is_terminal(), std::io::stderr().is_terminal()];
        let parked = (0..3).zip(terminals).find_map(|(fd, is)| self.inherited(fd).filter(|_| is));
        parked.map(|p| self.duplicate(host, p)).transpose()
    }

    /// Where the nameless file of an object is parked.
    pub fn unnamed(&self, object: u64) -> Option<u64> {
        self.unnamed.get(&object).map(|u| u.0)
    }

    /// Parks a nameless file and keeps a handle of ours, through which its content will be written.
    pub fn keep_unnamed(&mut self, host: &mut Host, object: u64, fd: u64) -> Result<u64> {
        let parked = self.park(host, fd)?;
        let ours = fds::take(self.pidfd, parked as i32)?;
        self.unnamed.insert(object, (parked, ours.into()));
        Ok(parked)
    }

    fn park(&self, host: &mut Host, fd: u64) -> Result<u64> {
        if fd >= self.base {
            return Ok(fd);
        }
        let parked = self.duplicate(host, fd)?;
        host.call(libc::SYS_close, [fd, 0, 0, 0, 0, 0])?;
        Ok(parked)
    }
}

/// Brings back the descriptors of process `id`. Returns our handles on the files whose content comes with the pages.
pub fn restore(host: &mut Host, ice: &Ice, id: u64, options: &Options) -> Result<HashMap<u64, File>> {
    let Some(wanted) = ice.get::<Descriptors>(id) else { return Ok(HashMap::new()) };
    let highest = wanted.descriptors.iter().map(|d| d.fd).max().unwrap_or(0).max(2);
    let pidfd = fds::pidfd(host.pid())?;
    // Parking needs numbers above the image's own: the soft limit may be in the way until the image's is set.
    cryo_tracee::host::raise_file_limit(host.pid())?;
    let mut table = Table { base: u64::from(highest) + 1, inherited: HashMap::new(), unnamed: HashMap::new(), pidfd: &pidfd };

    // What the host has from us: above the image's numbers it is parked, all else closes.
    for fd in proc::descriptors(host.pid())? {
        let parked = table.duplicate(host, fd as u64)?;
        table.inherited.insert(fd as u32, parked);
    }
    host.call(libc::SYS_close_range, [0, table.base - 1, 0, 0, 0, 0])?;

    let mut parked: HashMap<u64, u64> = HashMap::new();
    let mut final_place = Vec::new();
    for d in &wanted.descriptors {
        let rule = options.fds.iter().rev().find(|r| r.fd == d.fd).map(|r| &r.instead);
        let place = match (rule, parked.get(&d.description)) {
            (None, Some(p)) => *p,
            (rule, _) => {
                let opened = match rule {
                    Some(instead) => by_rule(host, d.fd, instead, &table)?,
                    None => description(host, ice, d.fd, d.description, &mut table)?,
                };
                let place = table.park(host, opened)?;
                if rule.is_none() {
                    parked.insert(d.description, place);
                }
                place
            }
        };
        final_place.push((place, d));
    }
    let mut batch = host.batch()?;
    for (place, d) in final_place {
        if !batch.has_room(1, 0) {
            let fresh = host.batch()?;
            host.run(std::mem::replace(&mut batch, fresh))?.all()?;
        }
        let cloexec = if d.flags & 1 != 0 { libc::O_CLOEXEC } else { 0 };
        batch.call(libc::SYS_dup3, &[place, d.fd.into(), cloexec as u64]);
    }
    host.run(batch)?.all()?;
    host.call(libc::SYS_close_range, [table.base, u32::MAX.into(), 0, 0, 0, 0])?;
    Ok(table.unnamed.into_iter().map(|(object, (_, file))| (object, file)).collect())
}

fn by_rule(host: &mut Host, fd: u32, instead: &Instead, table: &Table<'_>) -> Result<u64> {
    use std::os::unix::ffi::OsStrExt;
    match instead {
        Instead::Inherit => match table.inherited(fd) {
            Some(parked) => table.duplicate(host, parked),
            None => refuse(format!("--fd {fd}=inherit: cryo-thaw itself has no descriptor {fd}")),
        },
        Instead::Null => outside::path(host, fd, b"/dev/null", libc::O_RDWR | libc::O_CLOEXEC),
        Instead::File(p) => outside::path(host, fd, p.as_os_str().as_bytes(), libc::O_RDWR | libc::O_CLOEXEC),
    }
}

/// Opens a description of any kind.
fn description(host: &mut Host, ice: &Ice, fd: u32, id: u64, table: &mut Table<'_>) -> Result<u64> {
    if let Some(file) = ice.get::<OpenFile>(id) {
        files::restore(host, fd, file, table)
    } else if let Some(end) = ice.get::<Outside>(id) {
        outside::restore(host, fd, end, table)
    } else {
        refuse(format!("fd {fd}: its description {id} is of a kind that is unknown to this release"))
    }
}
