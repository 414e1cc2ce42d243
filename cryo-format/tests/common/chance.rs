//! Arbitrary sections of every kind in the registry.
#![allow(dead_code)] // every test file uses its part

use std::io::{self, Read, Seek, SeekFrom};

use binrw::Endian;
use cryo_format::prim::{Addr, Blob, List};
use cryo_format::section::descriptors::Descriptor;
use cryo_format::section::{
    AnySection, Info, OLD_SECTIONS, OldSection, SECTIONS, Section, ancillary, extents, fs, inet, pending, syscall,
    xstate,
};
use cryo_format::socket::{OPTIONS, SocketOption};

use super::PAGE;

/// Words of chance that sections are read from: many of them small, so that counts and lengths fit; zeros when they run out.
pub struct Chance<'a> {
    words: std::slice::Iter<'a, u64>,
    read: u64,
}

impl<'a> Chance<'a> {
    pub fn new(words: &'a [u64]) -> Self {
        Self { words: words.iter(), read: 0 }
    }

    fn word(&mut self) -> u64 {
        let w = self.words.next().copied().unwrap_or(0);
        if w >> 62 == 3 { w } else { w & 3 }
    }
}

impl Read for Chance<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        for part in buf.chunks_mut(8) {
            let word = self.word().to_le_bytes();
            part.copy_from_slice(&word[..part.len()]);
        }
        self.read += buf.len() as u64;
        Ok(buf.len())
    }
}

impl Seek for Chance<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        // Sections ask how much is left, to refuse counts that do not fit.
        Ok(if matches!(to, SeekFrom::End(_)) { self.read + 1024 } else { self.read })
    }
}

fn arbitrary<S: Section>(chance: &mut Chance<'_>) -> AnySection {
    loop {
        if let Ok(section) = S::read_options(chance, Endian::Little, ()) {
            let mut section = section.into();
            mend(&mut section);
            return section;
        }
    }
}

fn mend_descriptors(descriptors: &mut List<Descriptor>) {
    descriptors.iter_mut().for_each(|d| d.description |= 1);
    descriptors.sort_by_key(|d| d.fd);
    descriptors.dedup_by_key(|d| d.fd);
}

/// Options that an image may hold, and whole instructions.
fn mend_socket(options: &mut List<SocketOption>, filter: &mut Blob) {
    for o in options.iter_mut() {
        (o.level, o.name, _) = OPTIONS[o.name as usize % OPTIONS.len()];
    }
    *filter = filter[..filter.len() / 8 * 8].to_vec().into();
}

/// Makes ranges of pages ascend without overlap, each of some pages.
fn ascending<'a>(ranges: impl Iterator<Item = (&'a mut Addr, &'a mut Addr)>) {
    let mut at = 0;
    for (start, end) in ranges {
        *start = Addr(at + (start.0 % 1000) * PAGE as u64);
        *end = Addr(start.0 + (end.0 % 1000 + 1) * PAGE as u64);
        at = end.0;
    }
}

/// Makes what chance gave keep the rules of its section.
fn mend(section: &mut AnySection) {
    match section {
        AnySection::Cpu(s) => {
            s.features.sort();
            s.features.dedup();
            s.in_use.0 &= s.xcr0.0;
        }
        AnySection::Objects(s) => {
            s.objects.iter_mut().for_each(|o| {
                o.embedded &= 1;
                o.huge_page = if o.huge_page % 2 == 0 { 0 } else { 1 << (o.huge_page % 64) };
            });
            s.objects.retain(|o| o.id != 0);
            s.objects.sort_by_key(|o| o.id);
            s.objects.dedup_by_key(|o| o.id);
        }
        AnySection::Vmas(s) => {
            ascending(s.vmas.iter_mut().map(|v| (&mut v.start, &mut v.end)));
            s.vmas.iter_mut().for_each(|v| v.object |= 1);
        }
        AnySection::ParentSet(s) => {
            (s.depth, s.reserved) = (s.depth % 64 + 1, 0);
            s.owners.sort_by_key(|h| h.owner);
            s.owners.dedup_by_key(|h| h.owner);
        }
        AnySection::Guards(s) => {
            ascending(s.guards.iter_mut().map(|g| (&mut g.start, &mut g.end)));
        }
        AnySection::Touched(s) => {
            ascending(s.ranges.iter_mut().map(|r| (&mut r.start, &mut r.end)));
            s.ranges.reverse();
        }
        AnySection::Aio(s) => {
            let mut at = 0;
            for c in s.contexts.iter_mut() {
                c.address = Addr(at + (c.address.0 % 1000) * PAGE as u64);
                c.size = (c.size % 4 + 1) * PAGE as u64;
                let room = c.room() as usize;
                c.events.truncate(room);
                at = c.address.0 + c.size;
            }
        }
        AnySection::Family(s) => {
            s.zombies.sort_by_key(|z| z.pid);
            s.zombies.dedup_by_key(|z| z.pid);
            s.common.iter_mut().for_each(|c| (c.flags, c.reserved) = (c.flags & 0x4_0f00, 0));
        }
        AnySection::Fs(s) => {
            s.reserved = 0;
            if s.shared_with % 2 == 0 {
                *s = fs::Fs { shared_with: s.shared_with, ..Default::default() };
            } else {
                s.shared_with = 0;
            }
        }
        AnySection::Forked(s) => {
            s.parent |= 1;
            ascending(s.ranges.iter_mut().map(|r| (&mut r.start, &mut r.end)));
        }
        AnySection::Ldt(s) => {
            s.entries
                .iter_mut()
                .for_each(|e| (e.entry, e.limit, e.flags) = (e.entry % 8192, e.limit >> 12, e.flags % 128));
            s.entries.sort_by_key(|e| e.entry);
            s.entries.dedup_by_key(|e| e.entry);
        }
        AnySection::Mbind(s) => {
            ascending(s.ranges.iter_mut().map(|r| (&mut r.start, &mut r.end)));
        }
        AnySection::Thread(s) => {
            s.process |= 1;
            s.exited %= 2;
            s.exit_code *= s.exited;
            s.dispatch_mode |= 1;
        }
        AnySection::Old(OldSection::ObjectsV1(s)) => {
            s.objects.iter_mut().for_each(|o| o.embedded &= 1);
            s.objects.retain(|o| o.id != 0);
            s.objects.sort_by_key(|o| o.id);
            s.objects.dedup_by_key(|o| o.id);
        }
        AnySection::Old(OldSection::MmV1(s)) => s.reserved = 0,
        AnySection::Old(OldSection::PipeV1(s)) => s.packets &= 1,
        AnySection::Old(OldSection::LocksV1(s)) => s.reserved = 0,
        AnySection::Old(OldSection::ThreadV1(s)) => {
            s.process |= 1;
            s.exited %= 2;
            s.exit_code *= s.exited;
        }
        AnySection::Actions(s) => {
            for a in s.actions.iter_mut() {
                (a.signal, a.reserved) = (a.signal % 64 + 1, 0);
            }
            s.actions.sort_by_key(|a| a.signal);
            s.actions.dedup_by_key(|a| a.signal);
        }
        AnySection::Pending(s) => {
            let sized = |b: &Blob| [b.as_slice(), &[0; pending::SIGINFO_LEN]].concat()[..pending::SIGINFO_LEN].to_vec();
            s.signals = s.signals.iter().map(|b| sized(b).into()).collect();
        }
        AnySection::Limits(s) => {
            s.limits.iter_mut().for_each(|l| l.reserved = 0);
            s.limits.sort_by_key(|l| l.resource);
            s.limits.dedup_by_key(|l| l.resource);
        }
        AnySection::Mm(s) => s.reserved = 0,
        AnySection::Itimers(s) => {
            s.timers.iter_mut().for_each(|t| (t.which, t.reserved) = (t.which % 3, 0));
            s.timers.sort_by_key(|t| t.which);
            s.timers.dedup_by_key(|t| t.which);
        }
        AnySection::Ptimers(s) => {
            s.timers.iter_mut().for_each(|t| (t.notify, t.signal) = (t.notify % 3, t.signal % 65));
            s.timers.sort_by_key(|t| t.id);
            s.timers.dedup_by_key(|t| t.id);
        }
        AnySection::Credentials(s) => {
            (s.no_new_privs, s.parent_death_signal, s.reserved) = (s.no_new_privs & 1, s.parent_death_signal % 65, 0);
        }
        AnySection::Seccomp(s) => {
            (s.mode, s.reserved) = (s.mode % 3, 0);
            s.filters.iter_mut().for_each(|f| f.reserved = 0);
        }
        AnySection::Descriptors(s) => mend_descriptors(&mut s.descriptors),
        AnySection::ThreadDescriptors(s) => {
            if s.shared_with % 2 == 0 {
                s.descriptors = List::default();
            } else {
                s.shared_with = 0;
                mend_descriptors(&mut s.descriptors);
            }
        }
        AnySection::OpenFile(s) => s.reserved = 0,
        AnySection::Inet(s) => {
            (s.family, s.kind, s.state.0, s.shutdown) =
                ([2, 10][s.family as usize % 2], 1 + s.kind % 2, s.state.0 % 8, s.shutdown % 4);
            s.groups.iter_mut().for_each(|g| g.family = [2, 10][g.family as usize % 2]);
            s.kept.resize(usize::from(s.state == inet::State::KEPT), inet::Kept::default());
            mend_socket(&mut s.options, &mut s.filter);
        }
        AnySection::Netlink(s) => {
            (s.kind, s.reserved) = (2 + s.kind % 2, 0);
            s.groups.sort_unstable();
            s.groups.dedup();
            mend_socket(&mut s.options, &mut s.filter);
        }
        AnySection::Unix(s) => {
            (s.kind, s.state.0, s.shutdown, s.reserved) =
                ([1, 2, 5][s.kind as usize % 3], s.state.0 % 5, s.shutdown % 4, 0);
            mend_socket(&mut s.options, &mut s.filter);
        }
        AnySection::RawSocket(s) => {
            (s.family, s.connected, s.shutdown) =
                (if s.family & 1 == 0 { 2 } else { 10 }, s.connected & 1, s.shutdown & 3);
            s.groups.iter_mut().for_each(|g| g.family = 2);
            mend_socket(&mut s.options, &mut s.filter);
        }
        AnySection::PacketSocket(s) => {
            (s.kind, s.protocol, s.in_fanout, s.reserved) = (2 + s.kind % 2, s.protocol & 0xffff, s.in_fanout & 1, 0);
            for m in s.memberships.iter_mut() {
                (m.kind, m.count, m.reserved) = (m.kind & 3, m.count % 1000 + 1, 0);
                m.address = m.address[..m.address.len().min(32)].to_vec().into();
            }
            mend_socket(&mut s.options, &mut s.filter);
        }
        AnySection::Pipe(s) => s.packets &= 1,
        AnySection::Eventfd(s) => s.reserved = 0,
        AnySection::PtyEnd(s) => {
            s.master %= 2;
            s.exclusive %= 2 - s.master;
        }
        AnySection::Terminal(s) => s.reserved = 0,
        AnySection::Locks(s) => s.reserved = 0,
        AnySection::Owner(s) => {
            (s.kind, s.signal, s.asynchronous, s.reserved) = (s.kind % 5, s.signal % 65, s.asynchronous & 1, 0);
        }
        AnySection::Removed(s) => {
            let directory = s.mode & 1 == 0;
            s.mode = s.mode & 0o7777 | if directory { 0o040_000 } else { 0o120_000 };
            s.cwd &= u32::from(directory);
        }
        AnySection::Mqueue(s) => s.unlinked &= 1,
        AnySection::History(s) => {
            s.descriptors.sort_by_key(|d| d.fd);
            s.descriptors.dedup_by_key(|d| d.fd);
        }
        AnySection::SemUndo(s) => {
            s.adjustments.iter_mut().for_each(|a| a.adjust = (a.adjust % 32767) | 1);
            s.adjustments.sort_by_key(|a| (a.semid, a.number));
            s.adjustments.dedup_by_key(|a| (a.semid, a.number));
        }
        AnySection::Ancillary(s) => {
            for m in s.messages.iter_mut() {
                m.pid |= 1;
                m.descriptions.iter_mut().for_each(|d| *d |= 1);
                m.descriptions.truncate(ancillary::MOST);
            }
            s.messages.sort_by_key(|m| m.at);
            s.messages.dedup_by_key(|m| m.at);
        }
        AnySection::Sessions(s) => {
            s.sessions.iter_mut().for_each(|s| (s.sid, s.pty) = (s.sid | 1, s.pty | 1));
            s.sessions.sort_by_key(|s| s.sid);
            s.sessions.dedup_by_key(|s| s.sid);
        }
        AnySection::Attributes(s) => {
            s.inodes.sort_by_key(|i| i.object);
            s.inodes.dedup_by_key(|i| i.object);
        }
        AnySection::Inotify(s) => {
            s.watches.sort_by_key(|w| w.wd);
            s.watches.dedup_by_key(|w| w.wd);
        }
        AnySection::Xstate(s) => {
            s.area = [s.area.as_slice(), &[1; xstate::LEGACY_LEN]].concat().into();
            s.layout.iter_mut().for_each(|c| (c.offset, c.size) = (c.offset % 256, c.size % 256));
            s.layout.sort_by_key(|c| c.number);
            s.layout.dedup_by_key(|c| c.number);
        }
        AnySection::Tls(s) => {
            s.entries.iter_mut().for_each(|e| e.flags %= 128);
            s.entries.sort_by_key(|e| e.entry);
            s.entries.dedup_by_key(|e| e.entry);
        }
        AnySection::Syscall(s) if s.restart == syscall::Restart::RESTARTBLOCK => s.number = 35,
        AnySection::SyscallI386(s) => {
            s.reserved = 0;
            if s.restart == syscall::Restart::RESTARTBLOCK {
                s.number = 162;
            }
        }
        AnySection::Extents(s) => *s = extents::Extents::default(),
        _ => {}
    }
}

macro_rules! generators {
    ($($module:ident $ty:ident $kind:literal $version:literal $profile:ident $scope:ident $flags:ident;)*) => {
        fn latest(info: &Info, chance: &mut Chance<'_>) -> AnySection {
            match info.kind {
                $(cryo_format::section::$module::$ty::KIND => arbitrary::<cryo_format::section::$module::$ty>(chance),)*
                _ => unreachable!("the registry is the list"),
            }
        }
    };
}
cryo_format::for_each_section!(generators);

macro_rules! old_generators {
    ($($variant:ident $folder:ident $module:ident $ty:ident $kind:literal $version:literal $profile:ident $scope:ident $flags:ident
        => $($next:ident)::+;)*) => {
        /// A valid section of this kind and version.
        pub fn generate(info: &Info, chance: &mut Chance<'_>) -> AnySection {
            use cryo_format::section;
            match (info.kind, info.version) {
                $((section::$folder::$module::$ty::KIND, $version) => {
                    arbitrary::<section::$folder::$module::$ty>(chance)
                })*
                _ => latest(info, chance),
            }
        }
    };
}
cryo_format::for_each_old_section!(old_generators);

/// Every kind in every version.
pub fn every_section() -> impl Iterator<Item = &'static Info> {
    SECTIONS.iter().chain(OLD_SECTIONS)
}
