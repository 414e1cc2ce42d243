//! Where pages come from: a file, a pipe, parents, what was kept.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::sync::atomic::{AtomicUsize, Ordering};

use cryo_format::chain::Below;
use cryo_format::image::Image;
use cryo_format::index::IndexEntry;
use cryo_format::prim::Raw;
use cryo_format::read::Stream;
use cryo_format::section::Section;
use cryo_format::section::extents::Extents;
use cryo_format::{Kind, limits};

use super::place::Work;
use super::{PAGE, Turn};
use crate::Result;
use crate::error::{Error, RefusalKind, refuse};
use crate::kept_pages::{KeptPages, Piece};
use crate::stdin::Pipe;

/// Two keep the kernel busy with first touch; up to two more compare digests meanwhile, where there are CPUs for them.
const WORKERS: std::ops::RangeInclusive<usize> = 2..=4;

/// The pages of the batch whose EXTS is chunk `i`, with the right checksum, and digest if that is to be verified. Returns how many bytes they have in the image.
pub(crate) fn data(image: &Image<File>, i: usize, whole: &Extents, verify: bool, buf: &mut Vec<u8>) -> Result<u64> {
    let chunks = image.chunks();
    let Some(d) = following(whole, &chunks[i], chunks.get(i + 1))? else {
        buf.clear();
        return Ok(0);
    };
    buf.resize(d.raw as usize, 0);
    image.data(d, buf)?;
    if verify {
        compare(whole, buf, &format_args!("{}: chunk DATA at offset {:#x}", image.name(), d.offset))?;
    }
    Ok(d.stored)
}

/// BLAKE3 of a batch as EXTS has it; zero where it was frozen with --no-digest.
fn compare(extents: &Extents, data: &[u8], place: &dyn std::fmt::Display) -> Result<()> {
    if extents.digest == Raw::default() || extents.digest == cryo_format::digest(data) {
        return Ok(());
    }
    refuse(
        RefusalKind::Image,
        format!("{place}: pages are not those that were frozen: their digest is another one (rule 46)"),
    )
}

pub(super) fn from_file(image: &Image<File>, done: &mut HashSet<u64>, filler: &Work<'_>, turn: Turn) -> Result<()> {
    let chunks = image.chunks();
    let wanted = |owner: u64| match turn {
        Turn::Of(process) => owner == process,
        Turn::Rest => !done.contains(&owner),
    };
    let batches: Vec<usize> =
        (0..chunks.len()).filter(|i| chunks[*i].kind == Extents::KIND && wanted(chunks[*i].owner)).collect();
    if let Turn::Of(process) = turn {
        done.insert(process);
    }
    let now = cryo_format::ranges::without(&[(0, u64::MAX)], filler.filler.later);
    let process = filler.filler.targets.first().map(|target| target.process);
    spread(batches.len(), &|i, buf| {
        let i = batches[i];
        let extents: Extents = image.section(&chunks[i])?;
        let owner = chunks[i].owner;
        if filler.filler.later.is_empty() || Some(owner) != process {
            return filler.stored(image, i, owner, &extents, &extents, buf);
        }
        let part = Extents { extents: extents.within(&now, PAGE).into(), ..extents.clone() };
        if part.extents.is_empty() { Ok(()) } else { filler.stored(image, i, owner, &extents, &part, buf) }
    })
}

/// What was kept when others were filled in.
pub(super) fn from_kept(kept: &KeptPages, done: &mut HashSet<u64>, filler: &Work<'_>, turn: Turn) -> Result<()> {
    let owners: Vec<u64> = match turn {
        Turn::Of(process) => vec![process],
        Turn::Rest => kept.owners().filter(|owner| !done.contains(owner)).collect(),
    };
    let pieces: Vec<(u64, &Piece)> = owners.iter().flat_map(|o| kept.of(*o).map(|piece| (*o, piece))).collect();
    done.extend(owners);
    spread(pieces.len(), &|i, _| {
        let (owner, piece) = pieces[i];
        filler.place(owner, (piece.start, piece.end), piece.content, piece.bytes.as_deref())
    })
}

/// What is with the parent, with its parent, and so on.
pub(super) fn from_parents(mut below: Option<&Below<File>>, filler: &Work<'_>) -> Result<()> {
    // What the set below calls whom.
    let mut names: HashMap<u64, u64> = HashMap::new();
    loop {
        let wanted = filler.elsewhere();
        if wanted.is_empty() {
            return Ok(());
        }
        let Some(Below { image, parent }) = below else {
            return refuse(RefusalKind::Image, "the image has pages that are with a parent, and names none (rule 74)");
        };
        let mut heirs: HashMap<u64, Vec<u64>> = HashMap::new();
        for owner in wanted.keys() {
            let Some(name) = parent.of(*names.get(owner).unwrap_or(owner)) else {
                return refuse(
                    RefusalKind::Image,
                    format!("owner {owner} has pages in {}, which has not got them (rule 74)", image.name()),
                );
            };
            names.insert(*owner, name);
            heirs.entry(name).or_default().push(*owner);
        }
        // All of it is looked for before a page is read.
        let mut found: HashMap<u64, u64> = HashMap::new();
        let mut batches: Vec<(usize, u64, Extents, Extents)> = Vec::new();
        for (i, entry) in image.chunks().iter().enumerate().filter(|(_, e)| e.kind == Extents::KIND) {
            let Some(heirs) = heirs.get(&entry.owner) else { continue };
            let extents: Extents = image.section(entry)?;
            for heir in heirs {
                let part = extents.within(wanted.get(heir).map_or(&[][..], Vec::as_slice), PAGE);
                if part.is_empty() {
                    continue;
                }
                *found.entry(*heir).or_default() += part.iter().map(|e| e.pages).sum::<u64>();
                let part = Extents { extents: part.into(), ..extents.clone() };
                batches.push((i, *heir, extents.clone(), part));
            }
        }
        for (owner, ranges) in &wanted {
            let pages = ranges.iter().map(|(start, end)| (end - start) / PAGE).sum::<u64>();
            let found = found.get(owner).copied().unwrap_or(0);
            if found != pages {
                return refuse(
                    RefusalKind::Image,
                    format!(
                        "owner {owner} has {pages} pages with {}, and only {found} of them are there (rule 74)",
                        image.name()
                    ),
                );
            }
        }
        spread(batches.len(), &|i, buf| {
            let (at, owner, whole, part) = &batches[i];
            filler.stored(image, *at, *owner, whole, part, buf)
        })?;
        below = image.below();
    }
}

/// Does `count` tasks, many of them on several threads; each gets a buffer.
fn spread(count: usize, task: &(dyn Fn(usize, &mut Vec<u8>) -> Result<()> + Sync)) -> Result<()> {
    let next = AtomicUsize::new(0);
    let work = || -> Result<()> {
        let mut buf = Vec::new();
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            if i >= count {
                return Ok(());
            }
            task(i, &mut buf)?;
        }
    };
    if count < 8 {
        return work();
    }
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = cpus.clamp(*WORKERS.start(), *WORKERS.end());
    let done = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let mut result = Ok(());
        for w in workers {
            let done = w.join().unwrap_or_else(|_| refuse(RefusalKind::Internal, "a filling thread failed"));
            if let Err(e) = done {
                // The others find nothing left to do.
                next.store(count, Ordering::Relaxed);
                result = result.and(Err(e));
            }
        }
        result
    });
    match done {
        // Only the tracer, which is this thread, may write through a protection where the kernel was built so (CONFIG_PROC_MEM_FORCE_PTRACE, 6.12;
        // Debian's 7.2 is): alone, and from the beginning.
        Err(Error::Tracee(e)) if e.errno() == Some(libc::EIO) => {
            next.store(0, Ordering::Relaxed);
            work()
        }
        other => other,
    }
}

/// The DATA chunk that belongs to a batch.
fn following<'a>(
    extents: &Extents,
    entry: &IndexEntry,
    next: Option<&'a IndexEntry>,
) -> Result<Option<&'a IndexEntry>> {
    if extents.data_pages == 0 {
        return Ok(None);
    }
    match next.filter(|d| {
        d.kind == Kind::DATA
            && d.owner == entry.owner
            && d.raw == extents.data_pages * PAGE
            && d.raw <= limits::MAX_DATA
    }) {
        Some(d) => Ok(Some(d)),
        None => refuse(
            RefusalKind::Image,
            format!(
                "chunk EXTS at offset {:#x} announces {} pages, and no such DATA follows",
                entry.offset, extents.data_pages
            ),
        ),
    }
}

/// `next` is an EXTS that was read when it was not yet its turn.
pub(super) fn from_pipe(
    stream: &mut Stream<Box<dyn Pipe>>,
    next: &mut Option<(u64, Extents)>,
    filler: &Work<'_>,
    turn: Turn,
) -> Result<()> {
    let mut buf = Vec::new();
    loop {
        if let Some((owner, extents)) = next {
            if matches!(turn, Turn::Of(process) if process != *owner) {
                return Ok(());
            }
            if extents.data_pages == 0 {
                filler.batch(*owner, extents, &[], 0)?;
                *next = None;
            }
        }
        let Some(mut chunk) = stream.next()? else { break };
        if chunk.kind() == Extents::KIND {
            *next = Some((chunk.owner(), chunk.section::<Extents>()?));
        } else if chunk.kind() == Kind::DATA {
            let Some((owner, extents)) = next.take() else {
                return refuse(RefusalKind::Image, "a DATA chunk without its EXTS");
            };
            chunk.data(&mut buf)?;
            if filler.filler.verify {
                compare(&extents, &buf, &format_args!("the .freeze: chunk DATA at offset {:#x}", chunk.offset()))?;
            }
            let stored = chunk.header().stored;
            filler.batch(owner, &extents, &buf, stored)?;
        }
    }
    let behind = stream.get_ref().waiting();
    if behind > 0 && turn == Turn::Rest {
        filler.filler.notes.add(format!(
            "{behind} bytes or more follow the set in the pipe: they are no part of it, and left to who reads standard input next"
        ));
    }
    Ok(())
}
