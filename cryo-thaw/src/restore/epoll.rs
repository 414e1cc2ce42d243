//! `EPOL`: epoll sets.

use std::collections::HashSet;

use cryo_format::section::epoll::{Epoll, Watch};
use cryo_tracee::Host;

use super::open::set_flags;
use super::table::Table;
use crate::Result;
use crate::error::{Doing, RefusalKind, refuse};

/// What is no event: EPOLLEXCLUSIVE, EPOLLWAKEUP, EPOLLONESHOT, EPOLLET.
const FLAGS: u32 = 0xf000_0000;
const EPOLLET: u32 = libc::EPOLLET as u32;
const ONESHOT: u32 = libc::EPOLLONESHOT as u32;
/// Everything that a file can have: EPOLLIN, PRI, OUT, RDNORM, RDBAND, WRNORM, WRBAND, RDHUP.
const ANYTHING: u32 = 0x23c7;

/// Makes an empty set.
pub fn restore(host: &mut Host, table: &mut Table<'_>, _: u32, id: u64) -> Result<Option<u64>> {
    let Some(epoll) = table.section::<Epoll>(id) else { return Ok(None) };
    let made = host.call(libc::SYS_epoll_create1, [libc::EPOLL_CLOEXEC as u64, 0, 0, 0, 0, 0])?;
    set_flags(host, made, epoll.open_flags.0)?;
    Ok(Some(made))
}

/// Sets that watch sets that watch sets: the kernel allows no more than this (EP_MAX_NESTS of fs/eventpoll.c, and the innermost).
const DEEPEST: usize = 5;

/// Fills the sets, those that are watched by others first.
pub fn late(host: &mut Host, table: &Table<'_>) -> Result<()> {
    let mut left: Vec<_> = table.all::<Epoll>().into_iter().filter(|(id, _)| table.number(*id).is_some()).collect();
    for depth in 0.. {
        if left.is_empty() {
            break;
        }
        if depth > DEEPEST {
            return refuse(
                RefusalKind::Image,
                "the image has epoll sets that watch each other in more layers than the kernel allows",
            );
        }
        let before = left.len();
        let empty: HashSet<u64> = left.iter().map(|(id, _)| *id).collect();
        let waits = |epoll: &Epoll| epoll.watches.iter().any(|w| watched(table, w).is_some_and(|d| empty.contains(&d)));
        let (ready, later): (Vec<_>, Vec<_>) = left.into_iter().partition(|(_, epoll)| !waits(epoll));
        for (id, epoll) in &ready {
            if let Some(fd) = table.number(*id) {
                fill(host, table, fd, epoll)?;
            }
        }
        left = later;
        if left.len() == before {
            return refuse(RefusalKind::Image, "the image has epoll sets that watch each other in a circle");
        }
    }
    Ok(())
}

/// The description that is watched.
fn watched(table: &Table<'_>, w: &Watch) -> Option<u64> {
    if w.description != 0 { Some(w.description) } else { table.description(w.through) }
}

/// Descriptions that the sets of whose turn it is watch and that it has no descriptors of.
pub fn borrowed(table: &Table<'_>) -> Vec<u64> {
    let sets = table.all::<Epoll>().into_iter().filter(|(id, _)| table.number(*id).is_some());
    sets.flat_map(|(_, set)| &set.watches.0).map(|w| w.description).filter(|id| *id != 0).collect()
}

fn fill(host: &mut Host, table: &Table<'_>, epoll: u32, set: &Epoll) -> Result<()> {
    let fired = |w: &Watch| w.events & ONESHOT != 0 && w.events & !FLAGS == 0;
    // Of others than edges `state` means nothing: they are reported as long as they are there.
    let reported = |w: &Watch| w.state & 1 != 0 && w.events & EPOLLET != 0 && !fired(w);
    // What was reported already is reported to us, and then no more.
    for w in set.watches.iter().filter(|w| fired(w)) {
        add(host, table, epoll, w, w.events | ANYTHING)?;
        if drain(host, epoll, 1)? == 0 {
            // Its file has nothing that could fire it: at least no event of its own can.
            control(host, libc::EPOLL_CTL_MOD, epoll, w, w.events)?;
        }
    }
    for w in set.watches.iter().filter(|w| reported(w)) {
        add(host, table, epoll, w, w.events)?;
    }
    let edges = set.watches.iter().filter(|w| reported(w)).count();
    if edges != 0 {
        drain(host, epoll, edges)?;
    }
    set.watches.iter().filter(|w| !reported(w) && !fired(w)).try_for_each(|w| add(host, table, epoll, w, w.events))
}

/// Adds a watch under the number that it was added under, which may be another file's now, or nobody's.
fn add(host: &mut Host, table: &Table<'_>, epoll: u32, w: &Watch, events: u32) -> Result<()> {
    let through = match w.description {
        0 => u64::from(w.through),
        id => match table.at(id) {
            Some(at) => at,
            None => {
                let why =
                    format!("fd {epoll} (epoll): what it watches as {} is not there: use --fd {epoll}=null", w.fd);
                return refuse(RefusalKind::Descriptor, why);
            }
        },
    };
    if through == u64::from(w.fd) {
        return match control(host, libc::EPOLL_CTL_ADD, epoll, w, events) {
            Err(e) if table.ruled(w.through) => {
                table.options.notes.add(format!("fd {epoll}: what stands at {} now cannot be watched: {e}", w.through));
                Ok(())
            }
            other => other,
        };
    }
    let fd = u64::from(w.fd);
    let taken = table.description(w.fd).is_some();
    let cloexec = table.wanted.iter().any(|d| d.fd == w.fd && d.flags & 1 != 0);
    let aside =
        if taken { Some(host.call(libc::SYS_fcntl, [fd, libc::F_DUPFD_CLOEXEC as u64, 0, 0, 0, 0])?) } else { None };
    host.call(libc::SYS_dup2, [through, fd, 0, 0, 0, 0])?;
    let added = control(host, libc::EPOLL_CTL_ADD, epoll, w, events);
    match aside {
        Some(aside) => {
            let flags = if cloexec { libc::O_CLOEXEC as u64 } else { 0 };
            host.call(libc::SYS_dup3, [aside, fd, flags, 0, 0, 0])?;
            host.call(libc::SYS_close, [aside, 0, 0, 0, 0, 0])?;
        }
        None => drop(host.call(libc::SYS_close, [fd, 0, 0, 0, 0, 0])?),
    }
    added
}

fn control(host: &mut Host, how: i32, epoll: u32, w: &Watch, events: u32) -> Result<()> {
    let mut batch = host.batch()?;
    // struct epoll_event is packed on x86-64.
    let event = batch.put(&[&events.to_le_bytes()[..], &w.data.0.to_le_bytes()[..]].concat());
    batch.call(libc::SYS_epoll_ctl, &[epoll.into(), how as u64, w.fd.into(), event.addr]);
    host.run(batch)?.all().doing(|| format!("fd {epoll} (epoll): watching fd {}", w.fd))
}

/// Takes what the set reports, until it reports nothing; returns how much. Each of the `edges` in it is reported once; no more is waited for,
/// whatever the image has put there.
fn drain(host: &mut Host, epoll: u32, edges: usize) -> Result<u64> {
    const AT_ONCE: usize = 1024;
    let mut all = 0;
    for _ in 0..=edges.div_ceil(AT_ONCE) {
        let mut batch = host.batch()?;
        let events = batch.space(AT_ONCE * 12);
        let wait = batch.call(libc::SYS_epoll_wait, &[epoll.into(), events.addr, AT_ONCE as u64, 0]);
        match host.run(batch)?.result(wait)? {
            0 => break,
            n => all += n,
        }
    }
    Ok(all)
}
