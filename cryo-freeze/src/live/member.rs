//! One process of a live freeze.

use std::sync::atomic::{AtomicBool, Ordering};

use cryo_format::memory::Memory as Parent;
use cryo_format::section::extents::Content;
use cryo_tracee::proc::{self, FdInfo, Mapping, Stat, Status};
use cryo_tracee::{Arch, Memory, Process, Stopped, WriteWatch};

use super::copied::{Area, Copied, Range};
use crate::Result;
use crate::collect::residence::asked;
use crate::error::not_asked_to_end;
use crate::pages::PAGE;
use crate::tracer::Traced;

/// Below it a mapping is copied while the program stands still.
const LEAST: u64 = 1 << 20;
/// Bytes about which the kernel is asked at once: it holds the program's list of mappings meanwhile.
const STRIDE: u64 = 64 << 20;
/// Bytes that are copied at once.
const PIECE: u64 = 4 << 20;
/// The same where the program may wait for its tracer meanwhile, which is us.
const PIECE_TRACED: u64 = 256 << 10;
/// Mappings that are not watched: the main stack, which grows, and what is not memory.
const NOT_WATCHED: [&[u8]; 5] = [b"[stack]", b"[vdso]", b"[vvar]", b"[vvar_vclock]", b"[vsyscall]"];
/// Room for more than that is not touched before it is needed.
const MOST_PREPARED: u64 = 64 << 20;

/// A process, watched since it stood still for the first time; or one that was born since, and is not.
pub struct Member {
    pub pid: i32,
    /// When it was started: another process may have its pid by now.
    born: i64,
    watch: Option<WriteWatch>,
    /// Its memory, under that watch.
    memory: Option<Memory>,
    pub copied: Copied,
    /// Its mappings, as they were shortly before it stood still.
    smaps: Option<Vec<Mapping>>,
    /// Were these taken for those of the stop?
    smaps_used: AtomicBool,
    /// Bytes in huge pages, when it was last counted.
    pub huge: u64,
    /// Bytes that its areas have.
    pub watched: u64,
}

impl Member {
    /// One that nobody has watched.
    pub fn new(pid: i32) -> Self {
        Self {
            pid,
            born: 0,
            watch: None,
            memory: None,
            copied: Copied::default(),
            smaps: None,
            smaps_used: AtomicBool::new(false),
            huge: 0,
            watched: 0,
        }
    }

    /// Begins to watch a process that stands still. An error where it, or the kernel, does not allow that.
    ///
    /// It stands still also while its mappings are chosen: one that is another by then would be watched in part, and so split, and mremap(2) takes
    /// no two mappings.
    pub fn begin(process: &mut Process) -> Result<Self> {
        let maps = proc::short_mappings(process.live_tid())?;
        let watch = WriteWatch::begin(process, &maps)?;
        let mut member = Self {
            born: Stat::of(process.pid())?.field(22)?,
            memory: Some(process.memory.again()?),
            ..Self::new(process.pid())
        };
        member.choose(&watch, &maps)?;
        member.copied.areas.sort_by_key(|area| area.range);
        member.watch = Some(watch);
        Ok(member)
    }

    /// Goes on with one that was watched since a set was made. It stands still.
    pub fn resume(mut self, process: &mut Process) -> Result<Self> {
        if let Some(watch) = self.watch.take().filter(|_| self.is(process.pid())) {
            self.copied.areas.retain(|area| watch.written(area.range).is_ok());
            // Without any it may be that all of its memory is another: it has executed a program.
            if !self.copied.areas.is_empty() {
                (self.huge, self.watched) = (0, 0);
                for area in &self.copied.areas {
                    let census = watch.census(area.range)?;
                    self.huge += census.huge;
                    self.watched += census.small;
                }
                let known = self.copied.areas.len();
                self.choose(&watch, &proc::short_mappings(process.live_tid())?)?;
                // What is left of an area that is none any more is still protected, and would not be told as written to.
                self.copied.areas[known..].iter().for_each(|area| watch.release(area.range));
                self.copied.areas.sort_by_key(|area| area.range);
                self.watch = Some(watch);
                return Ok(self);
            }
        }
        Self::begin(process)
    }

    /// Watches those of the mappings that are worth it, and are not watched yet: they come last.
    fn choose(&mut self, watch: &WriteWatch, maps: &[Mapping]) -> Result<()> {
        let watched: Vec<Range> = self.copied.areas.iter().map(|area| area.range).collect();
        for m in maps.iter().filter(|m| !m.shared && m.ino == 0 && !NOT_WATCHED.contains(&&m.path[..])) {
            for range in cryo_format::ranges::without(&[(m.start, m.end)], &watched) {
                if range.1 - range.0 < LEAST {
                    continue;
                }
                let census = watch.census(range)?;
                if census.small < LEAST {
                    continue;
                }
                let area = Area::new(range, census.small + census.huge >= (range.1 - range.0) / 2);
                if let Ok(area) = area
                    && watch.add(range).is_ok()
                {
                    self.huge += census.huge;
                    self.watched += census.small;
                    self.copied.areas.push(area);
                }
            }
        }
        Ok(())
    }

    /// Is it this one?
    pub fn is(&self, pid: i32) -> bool {
        self.pid == pid && Stat::of(pid).and_then(|s| s.field(22)).is_ok_and(|born| born == self.born)
    }

    /// Makes room for what is copied at the end: so many bytes are not watched.
    pub fn prepare(&mut self, bytes: u64) -> Result<()> {
        self.copied.prepare((bytes.min(MOST_PREPARED) + (1 << 20)) as usize)
    }

    /// Why what is written to its memory would go unseen; `None` if it does not.
    pub fn writes_unseen(&self) -> Result<Option<String>> {
        let pid = self.pid;
        let areas = &self.copied.areas;
        for m in proc::mappings(pid)? {
            let ours = areas.iter().any(|a| a.range.0 < m.end && m.start < a.range.1);
            // What is left of an area that is none any more is watched, too.
            let is_left = || self.watch.as_ref().is_some_and(|watch| watch.is_ours((m.start, m.end)));
            if m.has("um") || (m.has("uw") && !ours && !is_left()) {
                return Ok(Some(format!("process {pid} uses userfaultfd itself")));
            }
            if m.path == b"/[aio] (deleted)" {
                return Ok(Some(format!("process {pid} reads and writes asynchronously (io_setup)")));
            }
        }
        for fd in proc::descriptors(pid)? {
            if FdInfo::of(pid, fd).is_ok_and(|info| info.flags() & libc::O_DIRECT as u64 != 0) {
                return Ok(Some(format!(
                    "fd {fd} of process {pid} is open with O_DIRECT, and what comes by it goes unseen"
                )));
            }
        }
        Ok(None)
    }

    /// Copies what was written to since it was copied; returns how many bytes that were. What cannot be read is stale, and tried once more later.
    pub(crate) fn round(&mut self, traced: &Traced<'_>) -> Result<u64> {
        let (Some(watch), Some(memory)) = (&self.watch, &self.memory) else { return Ok(0) };
        let mut bytes = 0;
        let most = if traced.is_traced() { PIECE_TRACED } else { PIECE };
        for area in &mut self.copied.areas {
            for stride in pieces(&[area.range], STRIDE) {
                let written = match watch.take_written(stride[0]) {
                    Ok(written) => written,
                    Err(e) => {
                        // Some of it may be protected by now, and not be told again.
                        area.change(&[area.range]);
                        area.stale = vec![area.range];
                        return Err(e.into());
                    }
                };
                area.change(&written);
                traced.attend();
                for some in pieces(&written, most) {
                    if memory.read_each(&mut area.places(&some)).is_err() {
                        area.stale.extend(&some);
                    }
                    bytes += length(&some);
                    traced.attend();
                    not_asked_to_end()?;
                }
            }
        }
        Ok(bytes)
    }

    /// The process stands still: what of its areas is to be copied? Areas that are not what they were are none any more. If the watch is to last longer than
    /// this freeze, whatever is written from here on is new. Returns the bytes.
    pub fn look(&mut self, lasting: bool) -> u64 {
        let Some(watch) = &self.watch else { return 0 };
        self.copied.areas.retain_mut(|area| {
            let Ok(written) = watch.written(area.range) else { return false };
            if lasting && written.iter().any(|range| watch.take_written(*range).is_err()) {
                return false;
            }
            area.change(&written);
            area.copy_again(written);
            true
        });
        self.copied.areas.iter().map(|area| length(&area.stale)).sum()
    }

    /// Has what this parent of the set lacks of these pages copied, too, though it was not written to. Without a parent that is all, and nothing is known of what
    /// was written to.
    pub fn copy_lacking(&mut self, ranges: &[Range], parent: Option<&Parent<'_>>) {
        for area in &mut self.copied.areas {
            let Some(changed) = &area.changed else { continue };
            let within = cryo_format::ranges::in_all(&[ranges, &[area.range]]);
            let unchanged = cryo_format::ranges::without(&within, changed);
            let Some(parent) = parent else {
                area.changed = None;
                area.copy_again(unchanged);
                continue;
            };
            let mut lacking = Vec::new();
            for (mut at, end) in unchanged {
                while at < end {
                    let there = parent.content(at);
                    let len = there.map_or(PAGE, |(_, len)| len).min(end - at);
                    if !there.is_some_and(|(content, _)| [Content::DATA, Content::ZERO].contains(&content)) {
                        lacking.push((at, at + len));
                    }
                    at += len;
                }
            }
            let lacking = cryo_format::ranges::joined(lacking);
            area.change(&lacking);
            area.copy_again(lacking);
        }
    }

    /// What was copied is in a set now; what is watched goes on to be.
    pub fn set_made(&mut self) -> Result<()> {
        self.copied.set_made()
    }

    /// Copies these pages, of which the areas may have some already. The process stands still; `memory` is its own.
    pub fn copy(&mut self, memory: &Memory, ranges: &[Range]) -> Result<u64> {
        let mut bytes = 0;
        let areas: Vec<Range> = self.copied.areas.iter().map(|area| area.range).collect();
        for (start, end) in cryo_format::ranges::without(ranges, &areas) {
            self.copied.add(start, (end - start) as usize, |room| Ok(memory.read(start, room)?))?;
            bytes += end - start;
        }
        for area in &mut self.copied.areas {
            let stale = cryo_format::ranges::in_all(&[ranges, &std::mem::take(&mut area.stale)]);
            memory.read_each(&mut area.places(&stale))?;
            bytes += length(&stale);
        }
        self.copied.complete();
        Ok(bytes)
    }

    /// See [`super::Live::read_smaps`].
    pub fn read_smaps(&mut self) {
        let maps = proc::mappings(self.pid).ok().filter(|_| self.watch.is_some());
        // Which pages of these there are depends on whether some are swapped out by now.
        self.smaps = maps.filter(|maps| !maps.iter().any(asked));
    }

    /// It is to be looked at them when it stands still.
    pub fn forget_smaps(&mut self) {
        self.smaps = None;
    }

    /// See [`super::Live::mappings`].
    pub fn mappings(&self, tid: i32) -> Option<Vec<Mapping>> {
        let before = self.smaps.as_ref()?;
        let now = proc::short_mappings(tid).ok()?;
        let same = now.len() == before.len() && now.iter().zip(before).all(|(now, before)| is_same(now, before));
        self.smaps_used.store(same, Ordering::Relaxed);
        same.then(|| before.clone())
    }

    /// See [`super::Live::flags_have_changed`]. Of what is mapped no longer nothing is known any more.
    pub fn flags_have_changed(&self) -> bool {
        let Some(before) = self.smaps.as_ref().filter(|_| self.smaps_used.load(Ordering::Relaxed)) else {
            return false;
        };
        let Ok(now) = proc::mappings(self.pid) else { return false };
        before.iter().any(|m| {
            // It may have been taken apart since; what stood still had the flags that one of the parts has kept.
            let parts = &now[now.partition_point(|now| now.end <= m.start)..];
            let parts = &parts[..parts.partition_point(|now| now.start < m.end)];
            !parts.is_empty() && parts.iter().all(|now| flags(now) != flags(m))
        })
    }

    /// Shows the mappings as they would be if nobody watched them.
    pub fn unmark(&self, maps: Vec<Mapping>) -> Vec<Mapping> {
        let Some(watch) = &self.watch else { return maps };
        let mut shown: Vec<Mapping> = Vec::with_capacity(maps.len());
        let mut before_watched = false;
        for mut m in maps {
            let watched = m.has("uw") && watch.is_ours((m.start, m.end));
            if watched {
                m.flags.retain(|flag| flag != b"uw");
            }
            // What was added to a mapping meanwhile is another one, as long as it is watched.
            match shown.last_mut() {
                Some(last) if (watched || before_watched) && continues(last, &m) => {
                    last.end = m.end;
                    last.swapped += m.swapped;
                }
                _ => shown.push(m),
            }
            before_watched = watched;
        }
        shown
    }

    /// Takes the protection off, a part at a time, so that the program never waits for long; and then all that is left of the watch.
    pub fn release(&mut self) {
        let Some(watch) = self.watch.take() else { return };
        for area in &self.copied.areas {
            pieces(&[area.range], STRIDE).for_each(|part| watch.release(part[0]));
        }
    }
}

/// Do both say the same, but for what only the second tells?
fn is_same(short: &Mapping, long: &Mapping) -> bool {
    let of = |m: &Mapping| (m.start, m.end, m.prot, m.shared, m.offset, m.dev, m.ino);
    of(short) == of(long) && short.path == long.path
}

/// Its flags. Whether a mapping is new (VM_SOFTDIRTY) is none of the program's.
fn flags(m: &Mapping) -> Vec<[u8; 2]> {
    m.flags.iter().filter(|flag| *flag != b"sd").copied().collect()
}

/// Would the kernel have one mapping of both?
fn continues(last: &Mapping, next: &Mapping) -> bool {
    let same = |m: &Mapping| (m.prot, m.shared, m.dev, m.ino, m.page_size);
    last.end == next.start
        && last.ino == 0
        && same(last) == same(next)
        && last.path == next.path
        && flags(last) == flags(next)
}

/// The ranges in portions of at most `most` bytes.
fn pieces(ranges: &[Range], most: u64) -> impl Iterator<Item = Vec<Range>> {
    let mut all: Vec<Vec<Range>> = Vec::new();
    let mut room = 0;
    for &(mut start, end) in ranges {
        while start < end {
            if room == 0 {
                all.push(Vec::new());
                room = most;
            }
            let stop = end.min(start + room);
            if let Some(last) = all.last_mut() {
                last.push((start, stop));
            }
            room -= stop - start;
            start = stop;
        }
    }
    all.into_iter()
}

fn length(ranges: &[Range]) -> u64 {
    ranges.iter().map(|r| r.1 - r.0).sum()
}

/// That a process is under seccomp filters, which forbid what is done in it, if it is. The first one of a `traced` process is its overseer's, which forbids nothing.
pub fn restricted(pid: i32, status: &Status, traced: bool) -> Option<String> {
    let filters = status.number("Seccomp_filters").or(status.number("Seccomp")).unwrap_or(0);
    (filters > u64::from(traced)).then(|| format!("process {pid} is under seccomp filters"))
}

/// Why the pages of a process cannot be copied while it runs; `None` if they can.
pub fn unsuited(process: &Process) -> Result<Option<String>> {
    let pid = process.pid();
    if let Some(why) =
        restricted(pid, &Status::of(process.live_tid())?, process.threads.iter().any(Stopped::is_watched))
    {
        return Ok(Some(why));
    }
    if process.arch != Arch::X86_64 {
        return Ok(Some(format!("process {pid} runs 32-bit code")));
    }
    Ok(None)
}
