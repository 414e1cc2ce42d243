//! `FORK`: pages that fork(2) left shared between a member and its parent, or all of them where both have one memory (CLONE_VM). They are stored once, with
//! the parent.
//!
//! Which pages can be shared at all, the page map tells everybody; whether they are, only where it also tells their places (CAP_SYS_ADMIN).
//! Otherwise the bytes are compared, before the first page is written: from the copies, if the originals run again by then.

use std::collections::BTreeMap;
use std::fs::File;

use cryo_format::prim::Addr;
use cryo_format::ranges::{in_all, joined};
use cryo_format::section::family::Common;
use cryo_format::section::forked::{Forked as Section, ForkedRange};
use cryo_format::section::vmas::{Vmas, alike};
use cryo_tracee::Memory;
use cryo_tracee::proc::{self, Entry, Mapping};

use super::content::Content;
use super::{Collected, MEMBERS, Scene, family, parallel};
use crate::Result;
use crate::error::not_asked_to_end;
use crate::live::Still;
use crate::pages::PAGE;

/// Bytes that are compared at once.
const PIECE: u64 = 256 << 10;
/// Entries of the page map that are read at once.
const ENTRIES: u64 = 64 << 10;
/// The key of AT_RANDOM in the auxiliary vector.
const AT_RANDOM: u64 = 25;

/// Pages from the first address to before the second.
type Range = (u64, u64);

/// A member that has executed nothing since its parent forked it.
pub struct Forked {
    /// Its local id, and its parent's.
    process: (u64, u64),
    /// Their places among the members.
    member: (usize, usize),
    /// Pages of its own that are its parent's, too.
    same: Vec<Range>,
    /// Pages of its own of which that is not known.
    perhaps: Vec<Range>,
    /// Mappings of files that both have at the same place.
    files: Vec<Range>,
}

/// Looks for them, before a member is copied: then all pages are shared with the copy.
pub fn look(scenes: &[Scene<'_>], memories: &[&Memory], common: &[Common]) -> Result<Vec<Forked>> {
    let found = parallel::each(scenes, MEMBERS, |scene| of_member(scenes, scene, memories, common))?;
    Ok(found.into_iter().flatten().collect())
}

fn of_member(
    scenes: &[Scene<'_>],
    scene: &Scene<'_>,
    memories: &[&Memory],
    common: &[Common],
) -> Result<Option<Forked>> {
    let Some(parent) = family::born_of(scenes, scene, common) else { return Ok(None) };
    let one_memory = family::common_memory(common, scene.id, parent.id);
    if !one_memory && !same_program(scene, parent, (memories[scene.member], memories[parent.member]))? {
        return Ok(None);
    }
    let mut forked = Forked {
        process: (scene.id, parent.id),
        member: (scene.member, parent.member),
        same: Vec::new(),
        perhaps: Vec::new(),
        files: Vec::new(),
    };
    if one_memory {
        forked.same = in_both(scene, parent).map(|(_, range)| range).collect();
        return Ok(Some(forked));
    }
    let pagemaps = (proc::pagemap(scene.live_tid)?, proc::pagemap(parent.live_tid)?);
    for (m, (start, end)) in in_both(scene, parent) {
        forked.pages(scene, &pagemaps, (start, end))?;
        if m.ino != 0 {
            forked.files.push((start, end));
        }
    }
    Ok(Some(forked))
}

/// Is it what one execve(2) made of both? That puts 16 random bytes on the stack; where it puts them is random, too.
fn same_program(scene: &Scene<'_>, parent: &Scene<'_>, (child, other): (&Memory, &Memory)) -> Result<bool> {
    if scene.arch != parent.arch {
        return Ok(false);
    }
    let auxv = scene.auxv()?;
    if auxv != parent.auxv()? {
        return Ok(false);
    }
    let Some(at) = auxv.chunks(2).find(|entry| entry[0] == AT_RANDOM).and_then(|entry| entry.get(1)) else {
        return Ok(false);
    };
    let (mut own, mut theirs) = ([0; 16], [0; 16]);
    Ok(child.read(*at, &mut own).is_ok() && other.read(*at, &mut theirs).is_ok() && own == theirs)
}

/// The private mappings that both have at the same place, of the same.
fn in_both<'s>(scene: &'s Scene<'_>, parent: &'s Scene<'_>) -> impl Iterator<Item = (&'s Mapping, Range)> {
    let private = |m: &&Mapping| !m.shared && !cryo_tracee::host::is_special(m) && !m.has("ht");
    let same = |m: &Mapping, p: &Mapping| {
        (m.dev, m.ino) == (p.dev, p.ino)
            && (m.ino == 0 || m.offset.wrapping_sub(m.start) == p.offset.wrapping_sub(p.start))
    };
    scene.maps.iter().filter(private).flat_map(move |m| {
        let from = parent.maps.partition_point(|p| p.end <= m.start);
        let overlap = parent.maps[from..].iter().take_while(|p| p.start < m.end);
        let overlap = overlap.filter(private).filter(move |p| same(m, p));
        overlap.map(move |p| (m, (m.start.max(p.start), m.end.min(p.end))))
    })
}

impl Forked {
    fn pages(&mut self, scene: &Scene<'_>, (own, parents): &(File, File), (start, end): Range) -> Result<()> {
        for present in scene.present(start, end).filter(|p| !p.file && !p.guard) {
            for from in (present.start..present.end).step_by((ENTRIES * PAGE) as usize) {
                let to = present.end.min(from + ENTRIES * PAGE);
                let own = proc::entries(own, from, to)?;
                // Most of what a child has touched is its own.
                if own.iter().all(|own| !own.own() || own.exclusive()) {
                    continue;
                }
                let theirs = proc::entries(parents, from, to)?;
                for ((own, theirs), at) in own.into_iter().zip(theirs).zip((from..to).step_by(PAGE as usize)) {
                    match shared(own, theirs) {
                        Some(true) => add(&mut self.same, at, at + PAGE),
                        None => add(&mut self.perhaps, at, at + PAGE),
                        Some(false) => {}
                    }
                }
            }
        }
        Ok(())
    }

    /// Adds the section, and takes the pages from what is stored of the process. `memories` are the members'.
    pub fn collect(
        self,
        memories: &[Still<'_>],
        content: &mut BTreeMap<u64, Vec<Content>>,
        out: &mut Collected,
    ) -> Result<()> {
        let Self { process: (process, parent), member: (own, other), mut same, perhaps, files } = self;
        let (Some(own), Some(other)) = (memories.get(own), memories.get(other)) else { return Ok(()) };
        // What the thawer's host has from its parent's. Advice that one of both has given since (madvise(2)) makes it another mapping.
        let (Some(vmas), Some(parents)) = (out.section::<Vmas>(process), out.section::<Vmas>(parent)) else {
            return Ok(());
        };
        let alike = alike(&parents.vmas, &vmas.vmas);
        let alike = joined(alike.iter().filter(|a| a.is_private()).map(|a| (a.start, a.end)).collect());
        let stored = content.get(&process).into_iter().flatten().flat_map(Content::ranges);
        let stored = joined(stored.collect());
        let (mut ours, mut theirs) = (vec![0; PIECE as usize], vec![0; PIECE as usize]);
        for (start, end) in in_all(&[&perhaps, &alike, &stored]) {
            for from in (start..end).step_by(PIECE as usize) {
                let len = (end - from).min(PIECE) as usize;
                own.read(from, &mut ours[..len])?;
                other.read(from, &mut theirs[..len])?;
                let pages = ours[..len].chunks(PAGE as usize).zip(theirs[..len].chunks(PAGE as usize));
                for (at, _) in (from..).step_by(PAGE as usize).zip(pages).filter(|(_, (ours, theirs))| ours == theirs) {
                    add(&mut same, at, at + PAGE);
                }
                not_asked_to_end()?;
            }
        }
        // Pages of the file itself are the same wherever neither has one of its own.
        let shown = |of| content.get(&of).into_iter().flatten().flat_map(Content::of_files).collect::<Vec<_>>();
        let (ours, theirs) = (shown(process), shown(parent));
        same.extend(in_all(&[&files, &joined(ours), &joined(theirs)]));
        let ranges = in_all(&[&joined(same), &alike]);
        if ranges.is_empty() {
            return Ok(());
        }
        content.get_mut(&process).into_iter().flatten().for_each(|c| c.leave_out(&ranges));
        let range = |(start, end)| ForkedRange { start: Addr(start), end: Addr(end) };
        out.add(process, Section { parent, ranges: ranges.into_iter().map(range).collect() });
        Ok(())
    }
}

/// Is it one page? `None` where only the bytes can tell.
fn shared(own: Entry, theirs: Entry) -> Option<bool> {
    if !own.own() || !theirs.own() || own.exclusive() || theirs.exclusive() {
        return Some(false);
    }
    match (own.place(), theirs.place()) {
        (0, 0) => None,
        // A page on swap may have the number of another one in memory.
        (place, other) => Some(place == other && own.swapped() == theirs.swapped()),
    }
}

/// Adds pages behind those that are there.
fn add(ranges: &mut Vec<Range>, start: u64, end: u64) {
    match ranges.last_mut() {
        Some(last) if last.1 == start => last.1 = end,
        _ => ranges.push((start, end)),
    }
}
