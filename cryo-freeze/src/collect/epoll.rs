//! `EPOL`: epoll sets.

use std::collections::HashMap;
use std::os::fd::AsFd;

use cryo_format::prim::Addr;
use cryo_format::section::AnySection;
use cryo_format::section::epoll::{Epoll, Watch};
use cryo_tracee::fds;
use rustix::event::{PollFd, PollFlags, Timespec};

use super::description::{Cx, Description, Fd};
use super::{RefusalKind, refuse};
use crate::Result;
use crate::error::About;

const EPOLLET: u32 = libc::EPOLLET as u32;
/// What is no event: EPOLLEXCLUSIVE, EPOLLWAKEUP, EPOLLONESHOT, EPOLLET.
const FLAGS: u32 = 0xf000_0000;

/// Adds the set.
pub fn collect<'c>(cx: &mut Cx<'c>, d: &'c Description<'c>) -> Result<bool> {
    let f = d.first();
    if !f.is_anon("eventpoll") {
        return Ok(false);
    }
    // Looking at a set takes nothing out of it. If it has nothing to report, then an edge that is there was reported already.
    let quiet = ready(cx.take(f)?, PollFlags::IN)?.is_empty();
    let mut watches: Vec<Watch> = Vec::new();
    // A number may stand there more than once, for files that are not open under it any more.
    let mut seen_so_far: HashMap<u32, u32> = HashMap::new();
    for line in f.info.all("tfd") {
        let Some(seen) = Seen::parse(line) else {
            return refuse(
                RefusalKind::Machine,
                format!("{}: /proc shows its set in an unknown way: {line}", f.name()),
            );
        };
        let earlier = seen_so_far.entry(seen.fd).or_default();
        let found = find(cx, f, &seen, *earlier)?;
        *earlier += 1;
        let Some((through, description)) = found else {
            return refuse(
                RefusalKind::Descriptor,
                format!(
                    "{} watches a file that was open as {} and that no process of the image has a descriptor of: use --fd {}=null",
                    f.name(),
                    seen.fd,
                    f.fd
                ),
            );
        };
        let mut state = 0;
        let events = seen.events & !FLAGS;
        if quiet && seen.events & EPOLLET != 0 && events != 0 {
            let there = ready(cx.take(through)?, PollFlags::from_bits_retain(events as u16))?;
            state = u32::from(!there.is_empty());
        }
        watches.push(Watch {
            fd: seen.fd,
            through: if description == 0 { through.fd as u32 } else { seen.fd },
            events: seen.events,
            state,
            data: Addr(seen.data),
            description,
        });
    }
    if fds::epoll_polls_busily(&cx.take(f)?) {
        cx.out.note(f.name(), "that it polls network devices busily (EPIOCSPARAMS) is not carried");
    }
    cx.out.add(d.id, Epoll { open_flags: f.open_flags(), watches: watches.into() });
    Ok(true)
}

/// A line of fdinfo.
struct Seen {
    fd: u32,
    events: u32,
    data: u64,
    ino: u64,
}

impl Seen {
    /// `5 events: 19 data: 7  pos:0 ino:40e sdev:10`
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split_whitespace();
        let fd = fields.next()?.parse().ok()?;
        let events = u32::from_str_radix(fields.nth(1)?, 16).ok()?;
        let data = u64::from_str_radix(fields.nth(1)?, 16).ok()?;
        let ino = u64::from_str_radix(fields.find_map(|w| w.strip_prefix("ino:"))?, 16).ok()?;
        Some(Self { fd, events, data, ino })
    }
}

/// A descriptor for the watched file: the number that it was added under, or another one of the process, both with 0; else one of another process, or of
/// what travels with a message, with its description.
fn find<'c>(cx: &Cx<'c>, epoll: &Fd, seen: &Seen, earlier: u32) -> Result<Option<(&'c Fd, u64)>> {
    use std::os::unix::fs::MetadataExt;
    let set = (cx.of(epoll).live_tid, epoll.fd);
    let is = |f: &Fd| -> Result<bool> {
        if f.meta.ino() != seen.ino {
            return Ok(false);
        }
        match fds::is_watched((cx.of(f).live_tid, f.fd), set, seen.fd as i32, earlier) {
            // A kernel that does not compare so: the inode must do.
            Err(e) if matches!(e.errno(), Some(libc::EOPNOTSUPP | libc::EINVAL)) => Ok(true),
            other => Ok(other?),
        }
    };
    // By the numbers of the process that has the set it is made again; of us, who look at what travels, nobody knows the numbers.
    let numbered = !cx.is_in_flight(epoll);
    if let Some(f) = cx.beside(epoll, seen.fd as i32).filter(|_| numbered)
        && is(f)?
    {
        return Ok(Some((f, 0)));
    }
    for d in cx.all.iter().filter(|_| numbered) {
        if let Some(f) = d.fds.iter().find(|f| f.holder == epoll.holder)
            && is(f)?
        {
            return Ok(Some((f, 0)));
        }
    }
    for d in cx.all {
        if is(d.first())? {
            late(epoll, seen, d.first())?;
            return Ok(Some((d.first(), d.id)));
        }
    }
    Ok(None)
}

/// What is made when all processes are born, and then only for those who have it, is not there to be watched by others.
fn late(epoll: &Fd, seen: &Seen, f: &Fd) -> Result<()> {
    if !f.is_anon("pidfd") && !f.meta.is_file() {
        return Ok(());
    }
    refuse(
        RefusalKind::Descriptor,
        format!(
            "{} watches as {} what only another process has a descriptor of, and a pidfd or a file in /proc is not carried so: use --fd {}=null",
            epoll.name(),
            seen.fd,
            epoll.fd
        ),
    )
}

/// Names the descriptions that sets watch as they stand in the image, when all do: what is outside may stand there by other ids than its own.
pub fn settle(cx: &mut Cx<'_>) {
    let placed = |d: &Description<'_>| {
        let f = d.first();
        let there = cx.table.iter().find(|(g, _)| (g.holder, g.fd) == (f.holder, f.fd)).map(|(_, id)| *id);
        there.or_else(|| cx.sent.get(&f.fd).copied().filter(|_| cx.is_in_flight(f)))
    };
    let mut ids: HashMap<u64, u64> = HashMap::new();
    for w in cx.out.sections::<Epoll>().flat_map(|set| &set.watches).filter(|w| w.description != 0) {
        let id = cx.all.iter().find(|d| d.id == w.description).and_then(placed);
        ids.extend(id.filter(|id| *id != w.description).map(|id| (w.description, id)));
    }
    for (_, section) in cx.out.sections.iter_mut().filter(|_| !ids.is_empty()) {
        if let AnySection::Epoll(set) = section {
            set.watches.iter_mut().for_each(|w| w.description = *ids.get(&w.description).unwrap_or(&w.description));
        }
    }
}

/// Which of these events a file has now.
fn ready(file: impl AsFd, events: PollFlags) -> Result<PollFlags> {
    let mut fds = [PollFd::new(&file, events)];
    rustix::event::poll(&mut fds, Some(&Timespec::default())).about(|| "looking at a watched file".into())?;
    Ok(fds[0].revents() & (events | PollFlags::ERR | PollFlags::HUP))
}

#[cfg(test)]
mod tests {
    use super::Seen;

    #[test]
    fn as_the_kernel_writes_it() {
        let seen = |line| Seen::parse(line).map(|s| (s.fd, s.events, s.data, s.ino));
        let line = "       4 events: 80000019 data:                4  pos:0 ino:1bcae sdev:f";
        assert_eq!(seen(line), Some((4, 0x8000_0019, 4, 0x1bcae)));
        let line = "1000000 events: 40000001 data: ffffffffffffffff  pos:-1 ino:0 sdev:fe00000 more:1";
        assert_eq!(seen(line), Some((1_000_000, 0x4000_0001, u64::MAX, 0)));
        let digits = format!("4 events: 19 data: {} pos:0 ino:1", "1".repeat(40));
        // The inode came with Linux 5.3; a set that cannot be matched to its files is refused.
        for line in ["4 events: 19 data: 4", "4 events: 19", "", "x events: 19 data: 4 pos:0 ino:1", &digits] {
            assert_eq!(seen(line), None, "{line}");
        }
    }
}
