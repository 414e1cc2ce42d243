//! `ANCL`: what travels with messages that wait in unix sockets. Whatever is sent is made first; then each message is sent again.

use std::collections::btree_map::Entry;
use std::collections::{HashMap, VecDeque};

use cryo_format::section::ancillary::{Ancillary, AncillaryMessage};
use cryo_format::section::descriptors::Descriptor;
use cryo_format::section::peers::Peer;
use cryo_format::section::unix::Unix;

use super::sockets::{self, Piece};
use super::table::Table;
use super::unix_socket::{Making, shown};
use crate::Result;
use crate::error::{RefusalKind, refuse};

/// Finds what is in flight: in sockets that are there, and in those that are in flight themselves. What the person put something else for carries nothing.
pub fn find(table: &mut Table<'_>) {
    let carried: HashMap<u64, &Ancillary> = table.all::<Ancillary>().into_iter().collect();
    let mut carriers: VecDeque<(u64, u32)> = carried.keys().filter_map(|id| Some((*id, table.number(*id)?))).collect();
    carriers.make_contiguous().sort_unstable();
    while let Some((carrier, number)) = carriers.pop_front() {
        for id in carried.get(&carrier).into_iter().flat_map(|a| &a.messages.0).flat_map(|m| &m.descriptions.0) {
            if let Entry::Vacant(unknown) = table.in_flight.entry(*id) {
                unknown.insert(number);
                table.numbers.entry(*id).or_insert(number);
                carriers.push_back((*id, number));
            }
        }
    }
}

/// What has to be there before the sockets are; these come all at once.
pub fn early(table: &Table<'_>) -> Vec<Descriptor> {
    let others = table.in_flight.iter().filter(|(id, _)| table.section::<Unix>(**id).is_none());
    others.map(|(id, fd)| Descriptor { fd: *fd, flags: 0, description: *id }).collect()
}

/// The messages of description `id` with which something travels.
pub fn messages<'a>(table: &Table<'a>, id: u64) -> &'a [AncillaryMessage] {
    table.section::<Ancillary>(id).map_or(&[][..], |a| &a.messages)
}

/// The same by their places in its queue.
pub fn by_place<'a>(table: &Table<'a>, id: u64, s: &Unix) -> Result<HashMap<u64, &'a AncillaryMessage>> {
    let messages = messages(table, id);
    if messages.iter().any(|m| m.at >= s.queue.len() as u64) {
        return refuse(RefusalKind::Image, format!("unix socket {}: no such message waits in it", shown(&s.name)));
    }
    Ok(messages.iter().map(|m| (m.at, m)).collect())
}

impl Making<'_, '_, '_> {
    /// Sends `data` from socket `from` of the host, with what travels with it, to `to` (empty where it is connected). Of a stream maybe not all; returns how
    /// much. The outer error is ours.
    pub fn send(
        &mut self,
        from: u64,
        data: &[u8],
        to: &[u8],
        with: Option<&AncillaryMessage>,
    ) -> Result<cryo_tracee::Result<u64>> {
        let mut rights = Vec::new();
        for id in with.map_or(&[][..], |m| &m.descriptions) {
            match self.made.get(id).map(|m| m.at).or_else(|| self.table.at(*id)) {
                Some(at) => rights.push(at as u32),
                None => {
                    return refuse(
                        RefusalKind::Image,
                        format!("description {id} travels with a message and is not in the image"),
                    );
                }
            }
        }
        let sender = with.filter(|m| m.pid != 0).map(|m| Peer { pid: m.pid, uid: m.uid, gid: m.gid });
        self.by(sender.as_ref(), |host| sockets::send(host, from, &Piece { data, to, rights: &rights }))
    }

    /// Writes what waits in a stream into its other end, which the host has at `from`, in the pieces in which it was written.
    pub fn pour(&mut self, id: u64, s: &Unix, from: u64) -> Result<()> {
        let data: Vec<u8> = s.queue.iter().flat_map(|m| m.data.iter().copied()).collect();
        let mut rest = &data[..];
        let mut at = 0;
        for m in messages(self.table, id) {
            // What travels does so with the first byte.
            let parts =
                m.at.checked_sub(at).filter(|_| m.len > 0).and_then(|before| rest.split_at_checked(before as usize));
            let Some((before, (own, after))) =
                parts.and_then(|(before, rest)| Some((before, rest.split_at_checked(m.len as usize)?)))
            else {
                return refuse(RefusalKind::Image, format!("unix socket {}: no such bytes wait in it", shown(&s.name)));
            };
            self.write(from, before, None)?;
            self.write(from, own, Some(m))?;
            (rest, at) = (after, m.at + m.len);
        }
        self.write(from, rest, None)
    }

    /// Writes all of it; descriptors travel with the first byte.
    fn write(&mut self, from: u64, data: &[u8], with: Option<&AncillaryMessage>) -> Result<()> {
        let mut rest = data;
        let mut with = with.cloned();
        while !rest.is_empty() {
            let n = self.send(from, &rest[..rest.len().min(sockets::PIECE)], &[], with.as_ref())??;
            rest = &rest[n as usize..];
            if let Some(with) = &mut with {
                with.descriptions.clear();
            }
        }
        Ok(())
    }
}
