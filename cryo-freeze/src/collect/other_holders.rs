//! Who else has what the process has open or mapped: a look at every process that we may look at.
//!
//! With hundreds of processes that takes longer than all the rest of a freeze. So it is done before the process stands still; afterwards only the
//! processes that came meanwhile are looked at ([`OtherHolders::update`]), and whatever was found is looked at again before it counts. As an
//! ordinary user we do not see into other users' processes.

use std::cell::LazyCell;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use cryo_tracee::fds::{self, Shared};
use cryo_tracee::proc::{self, FdInfo, Mapping, Status};
use rustix::fs::{AtFlags, Dir, Mode, OFlags};
use rustix::path::DecInt;

use super::semundo::Lists;

/// A descriptor of another process.
#[derive(Clone, Copy, Debug)]
struct Held {
    pid: i32,
    fd: i32,
}

/// Another process that has the same open or mapped.
#[derive(Clone, Debug)]
pub struct Holder {
    /// `process 311 (tail)`.
    pub name: String,
    /// May it write there?
    pub writes: bool,
}

/// What clone(2) makes two processes have together.
const IN_COMMON: [Shared; 5] = [Shared::Memory, Shared::Files, Shared::Fs, Shared::Handlers, Shared::SemUndo];

/// Device and inode.
type Inode = (u64, u64);

/// What other processes have.
#[derive(Default)]
pub struct OtherHolders {
    /// The processes that are frozen, and us.
    passed_over: HashSet<i32>,
    /// The processes that are frozen.
    frozen: Vec<i32>,
    /// All others.
    looked_at: Vec<i32>,
    undo_lists: Lists,
    /// Those that clone(2) made with something in common with one that is frozen, and with which.
    sharers: Vec<(i32, i32, Shared)>,
    /// Those whose main thread has ended: /proc/PID shows nothing of what another thread of theirs has.
    headless: HashSet<i32>,
    /// Descriptors, by what their links say.
    links: HashMap<Vec<u8>, Vec<Held>>,
    /// Descriptors of files that no path leads to.
    unlinked: HashMap<Inode, Vec<Held>>,
    /// Event counters by their number, which all share in whose descriptors it stands.
    eventfds: HashMap<i64, Vec<Held>>,
    /// Shared mappings of what no path leads to; none until they are asked for.
    mapped: Option<HashMap<Inode, Vec<i32>>>,
}

impl OtherHolders {
    /// Looks, past these processes and us.
    pub fn look(pids: &[i32], undo_lists: Lists) -> Self {
        let mut passed_over: HashSet<i32> = pids.iter().copied().collect();
        passed_over.insert(std::process::id() as i32);
        // The command that waits for us (see [`cryo_tracee::guardian`]) has the descriptors that we have.
        let parent = rustix::process::getppid().map_or(0, |p| p.as_raw_nonzero().get());
        let exe = |pid: &str| fs::read_link(format!("/proc/{pid}/exe")).ok();
        if exe(&parent.to_string()) == exe("self") {
            passed_over.insert(parent);
        }
        let mut all = Self { passed_over, undo_lists, frozen: pids.to_vec(), ..Self::default() };
        if pids.iter().any(|pid| shared_maps(*pid).next().is_some()) {
            all.mapped = Some(HashMap::new());
        }
        all.look_at_new();
        all
    }

    /// Looks at those that came since, when these processes stand still, which have these mappings.
    pub fn update<'m>(&mut self, pids: &[i32], mut maps: impl Iterator<Item = &'m Mapping>) {
        self.passed_over.extend(pids);
        self.frozen = pids.to_vec();
        self.looked_at.retain(|pid| !self.passed_over.contains(pid));
        self.look_at_new();
        // They have mapped such memory in the meantime: seldom enough to look at all again.
        if self.mapped.is_none() && maps.any(|m| m.shared && m.path.ends_with(b" (deleted)")) {
            self.mapped = Some(HashMap::new());
            self.looked_at.clone().into_iter().for_each(|pid| self.look_at_maps(pid));
        }
    }

    fn look_at_new(&mut self) {
        let ours = std::process::id();
        let known: HashSet<i32> = self.passed_over.iter().chain(&self.looked_at).copied().collect();
        let exe = |pid: i32| fs::read_link(format!("/proc/{pid}/exe"));
        let frozen = self.frozen.clone();
        // Seldom has one come since they stand still.
        let executing = LazyCell::new(|| {
            let mut executing: HashMap<PathBuf, Vec<(i32, i32)>> = HashMap::new();
            for pid in frozen {
                let tid = if exe(pid).is_ok() { pid } else { proc::living_task(pid).unwrap_or(pid) };
                executing.entry(exe(tid).unwrap_or_default()).or_default().push((pid, tid));
            }
            executing
        });
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        for pid in processes.filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok()) {
            if known.contains(&pid) {
                continue;
            }
            // Without a program there is nothing: a zombie, of which there may be thousands, or a thread of the kernel. But a zombie may have threads.
            let mut executes = exe(pid);
            if executes.as_ref().is_err_and(|e| e.kind() == ErrorKind::NotFound) {
                if !has_threads(pid) {
                    self.looked_at.push(pid);
                    continue;
                }
                self.headless.insert(pid);
                executes = exe(self.shown_by(pid));
            }
            // What we trace is a copy of the process, made for us.
            if Status::of(pid).is_ok_and(|s| s.number("TracerPid") == Some(ours.into())) {
                continue;
            }
            self.looked_at.push(pid);
            // Who executes another program has nothing in common any more, but for its directory.
            let alike = executes.ok().and_then(|executes| executing.get(&executes)).into_iter().flatten();
            for (member, tid) in alike {
                let shared = IN_COMMON.into_iter().filter(|what| self.shares(pid, *tid, *what));
                let shared: Vec<_> = shared.map(|what| (pid, *member, what)).collect();
                self.sharers.extend(shared);
            }
            self.look_at_descriptors(pid);
            self.look_at_maps(pid);
        }
    }

    /// The thread whose /proc shows what a process has.
    fn shown_by(&self, pid: i32) -> i32 {
        if self.headless.contains(&pid) { proc::living_task(pid).unwrap_or(pid) } else { pid }
    }

    fn look_at_descriptors(&mut self, pid: i32) {
        let tid = self.shown_by(pid);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::open(format!("/proc/{tid}/fd"), flags, Mode::empty()).and_then(Dir::new);
        let Ok(mut dir) = dir else { return };
        let numbers = dir.by_ref().flatten().filter_map(|entry| entry.file_name().to_str().ok()?.parse().ok());
        let numbers: Vec<i32> = numbers.collect();
        let Ok(dir) = dir.fd() else { return };
        for fd in numbers {
            let Ok(link) = rustix::fs::readlinkat(dir, DecInt::new(fd), Vec::with_capacity(64)) else { continue };
            let link = link.into_bytes();
            let held = Held { pid, fd };
            if link.ends_with(b" (deleted)")
                && let Ok(meta) = rustix::fs::statat(dir, DecInt::new(fd), AtFlags::empty())
            {
                self.unlinked.entry((meta.st_dev, meta.st_ino)).or_default().push(held);
            }
            if link == b"anon_inode:[eventfd]"
                && let Some(id) = FdInfo::of(tid, fd).ok().and_then(|i| i.number("eventfd-id"))
            {
                self.eventfds.entry(id).or_default().push(held);
            }
            self.links.entry(link).or_default().push(held);
        }
    }

    fn look_at_maps(&mut self, pid: i32) {
        let tid = self.shown_by(pid);
        let Some(mapped) = &mut self.mapped else { return };
        shared_maps(tid).for_each(|(inode, _)| mapped.entry(inode).or_default().push(pid));
    }

    /// One that was looked at before it was known to be frozen, too, is no other.
    fn other(&self, held: Held) -> bool {
        !self.passed_over.contains(&held.pid)
    }

    fn shares(&self, other: i32, tid: i32, what: Shared) -> bool {
        // Those who have none are equal, too.
        fds::surely_share(tid, self.shown_by(other), what) && (what != Shared::SemUndo || self.undo_lists.has(tid))
    }

    /// Another process that has something in common (clone(2)) with process `member`, of which this thread lives.
    pub fn sharer(&self, member: i32, tid: i32) -> Option<(Shared, String)> {
        let all = self.sharers.iter().filter(|(other, of, _)| *of == member && !self.passed_over.contains(other));
        all.copied()
            .find(|(other, _, what)| self.shares(*other, tid, *what))
            .map(|(other, _, what)| (what, name(other)))
    }

    /// Another process that has this pipe, socket or terminal open.
    pub fn holder(&self, link: &[u8]) -> Option<String> {
        let held = self.links.get(link)?.iter().find(|h| {
            self.other(**h) && proc::link(self.shown_by(h.pid), &format!("fd/{}", h.fd)).is_ok_and(|now| now == link)
        })?;
        Some(name(held.pid))
    }

    /// Another process with a descriptor of the open file description that is descriptor `fd`, with this link, of process `pid`.
    pub fn description(&self, pid: i32, fd: i32, link: &[u8]) -> Option<Holder> {
        let same = |h: &&Held| self.other(**h) && fds::is_description(pid, fd, self.shown_by(h.pid), h.fd);
        self.links.get(link)?.iter().find(same).map(|held| self.writer(*held))
    }

    /// Another process that has this event counter.
    pub fn eventfd(&self, id: i64) -> Option<Holder> {
        let counts = |h: &Held| FdInfo::of(self.shown_by(h.pid), h.fd).ok()?.number("eventfd-id");
        let same = |h: &&Held| self.other(**h) && counts(h) == Some(id);
        self.eventfds.get(&id)?.iter().find(same).map(|held| self.writer(*held))
    }

    /// Another process that has this file, to which no path leads, open or mapped for sharing; one that may write rather than one that reads.
    pub fn unlinked(&self, dev: u64, ino: u64) -> Option<Holder> {
        let same = |h: &&Held| {
            self.other(**h)
                && fs::metadata(format!("/proc/{}/fd/{}", self.shown_by(h.pid), h.fd))
                    .is_ok_and(|m| (m.dev(), m.ino()) == (dev, ino))
        };
        let open = self.unlinked.get(&(dev, ino)).into_iter().flatten().filter(same).map(|held| self.writer(*held));
        let pids = self.mapped.as_ref().and_then(|m| m.get(&(dev, ino))).into_iter().flatten();
        let mapped = pids.filter(|pid| !self.passed_over.contains(pid)).filter_map(|pid| {
            let (_, writes) = shared_maps(self.shown_by(*pid)).find(|(inode, _)| *inode == (dev, ino))?;
            Some(Holder { name: name(*pid), writes })
        });
        open.chain(mapped).max_by_key(|h| h.writes)
    }

    /// Who has it, and whether that may write.
    fn writer(&self, held: Held) -> Holder {
        let flags = FdInfo::of(self.shown_by(held.pid), held.fd).map_or(0, |i| i.flags());
        Holder { name: name(held.pid), writes: flags & libc::O_ACCMODE as u64 != libc::O_RDONLY as u64 }
    }
}

fn name(pid: i32) -> String {
    let comm = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    format!("process {pid} ({})", comm.trim())
}

/// Has it threads besides the main one? The directory has an entry for each.
fn has_threads(pid: i32) -> bool {
    fs::metadata(format!("/proc/{pid}/task")).is_ok_and(|task| task.nlink() > 3)
}

/// The shared mappings of a process of what no path leads to (memfds, shared anonymous memory, deleted files), by inode, and whether they may be
/// written: /proc/PID/maps, which costs less than smaps.
fn shared_maps(pid: i32) -> impl Iterator<Item = (Inode, bool)> {
    let text = fs::read(format!("/proc/{pid}/maps")).unwrap_or_default();
    let lines: Vec<_> = text.split(|b| *b == b'\n').filter_map(shared_map).collect();
    lines.into_iter()
}

/// `7f0-7f1 rw-s 00000000 00:01 1234  /memfd:x (deleted)`
fn shared_map(line: &[u8]) -> Option<(Inode, bool)> {
    let text = std::str::from_utf8(line.get(..line.len().min(100))?.split(|b| *b == b'/').next()?).ok()?;
    let mut words = text.split_whitespace().skip(1);
    let (perms, dev, ino) = (words.next()?, words.nth(1)?, words.next()?);
    if !perms.ends_with('s') || !line.ends_with(b" (deleted)") {
        return None;
    }
    let (major, minor) = dev.split_once(':')?;
    let hex = |text| u32::from_str_radix(text, 16).ok();
    Some(((rustix::fs::makedev(hex(major)?, hex(minor)?), ino.parse().ok()?), perms.as_bytes().get(1) == Some(&b'w')))
}

#[cfg(test)]
mod tests {
    use super::shared_map;

    #[test]
    fn a_shared_mapping_without_a_path_is_known_by_its_inode() {
        let line = b"7f7c4e5f2000-7f7c4e5f3000 rw-s 00000000 00:01 1042                       /dev/zero (deleted)";
        assert_eq!(shared_map(line), Some(((1, 1042), true)));
        let line = b"7f7c4e5f2000-7f7c4e5f3000 r--s 00000000 08:10 77                         /tmp/a b (deleted)";
        assert_eq!(shared_map(line), Some(((rustix::fs::makedev(8, 16), 77), false)));
        for other in [
            &b"7f7c4e5f2000-7f7c4e5f3000 rw-p 00000000 00:01 1042                       /memfd:x (deleted)"[..],
            b"7f7c4e5f2000-7f7c4e5f3000 rw-s 00000000 00:01 1042                       /tmp/file",
            b"7f7c4e5f2000-7f7c4e5f3000 rw-p 00000000 00:00 0",
            b"",
        ] {
            assert_eq!(shared_map(other), None);
        }
    }
}
