//! The program runs before its memory is there (`--lazy`): a process of ours fills behind it, and brings first what the program waits for.
//!
//! Only private memory without a file is filled so: it alone can be missing. All else is filled before, as ever; and so is what the kernel reads and writes for
//! a thread that exits, since it waits for no page then: who joins that thread would wait for ever.

mod filler;
mod index;
mod learn;
mod space;

use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;

use cryo_format::image::Image;
use cryo_format::ranges;
use cryo_format::section::thread::Thread;
use cryo_format::section::vmas::{Backing, VmFlags, Vma};
use cryo_tracee::{Host, PageFaults, background, page_faults};

use crate::Result;
use crate::error::{About, RefusalKind, refuse};
use crate::fill::PAGE;
use crate::ice::{Ice, Pages};
use crate::options::Options;
use index::Index;

/// Less than that is filled as quickly before.
const LEAST: u64 = 4 << 20;
/// Mappings below are filled before: they are what every program touches at once.
const LEAST_MAPPING: u64 = 256 << 10;
/// What is to have all its pages at once, or none of what is in the image for a child.
const NOT_LATER: [u64; 7] = [
    VmFlags::HUGETLB,
    VmFlags::LOCKED,
    VmFlags::LOCKONFAULT,
    VmFlags::SEALED,
    VmFlags::GROWSDOWN,
    VmFlags::WIPEONFORK,
    VmFlags::DROPPABLE,
];

/// Pages from the first address to before the second.
pub type Range = (u64, u64);

/// The mappings of process `id` that are filled later; none if it is not asked for, or brings nothing. What stands in the way is noted.
pub fn ranges(ice: &Ice, pages: &Pages, id: u64, vmas: &[Vma], options: &Options) -> Vec<Range> {
    if options.lazy.is_none() {
        return Vec::new();
    }
    let later = suited(ice, pages, id, vmas, options);
    if later.is_empty() && options.learn.is_some() {
        options.notes.add("--learn: nothing was learned, since nothing was left to be filled later");
    }
    later
}

fn suited(ice: &Ice, pages: &Pages, id: u64, vmas: &[Vma], options: &Options) -> Vec<Range> {
    let why = match pages {
        Pages::Pipe { .. } => Some("it comes down a pipe"),
        Pages::File { .. } if ice.processes().len() > 1 => Some("it is a family"),
        Pages::File { image, .. } if image.below().is_some() => {
            Some("some of it is with a parent (cryo-inspect flatten joins them)")
        }
        Pages::File { .. } | Pages::Kept { .. } => None,
    };
    if let Some(why) = why {
        options.notes.add(format!("--lazy: all of it was filled before it ran: {why}"));
        return Vec::new();
    }
    let later = |v: &&Vma| {
        v.backing == Backing::ANONYMOUS
            && v.end.0 - v.start.0 >= LEAST_MAPPING
            && NOT_LATER.iter().all(|flag| !v.flags.has(*flag))
            && v.name.0 != b"[stack]"
    };
    let all: Vec<Range> = vmas.iter().filter(later).map(|v| (v.start.0, v.end.0)).collect();
    if all.iter().map(|(start, end)| end - start).sum::<u64>() < LEAST {
        return Vec::new();
    }
    let threads = ice.all::<Thread>().filter(|(_, thread)| thread.process == id);
    let at_exit = threads.flat_map(|(_, thread)| [thread.clear_child_tid.0, thread.robust_list.0]).map(page).collect();
    ranges::without(&ranges::joined(all), &ranges::joined(at_exit))
}

/// The page of an address.
fn page(at: u64) -> Range {
    let start = at & !(PAGE - 1);
    (start, start.saturating_add(PAGE))
}

/// From here on who touches `later` waits, and a process of its own brings it.
pub fn start(
    host: &mut Host,
    id: u64,
    image: &Image<File>,
    later: &[Range],
    vmas: &[Vma],
    options: &Options,
) -> Result<()> {
    let Some(say) = options.lazy else { return Ok(()) };
    let index = Index::of(image, id, later, !options.no_verify)?;
    let faults = PageFaults::of(host)?;
    for v in vmas.iter().filter(|v| later.iter().any(|(start, end)| *start < v.end.0 && v.start.0 < *end)) {
        faults.add((v.start.0, v.end.0))?;
    }
    let pid = host.pid();
    let mut ready = background::start(|tell| {
        let kept = [faults.as_fd(), image.input().as_fd(), tell.as_fd()];
        match background::keep_only(&kept) {
            Ok(()) => filler::run((pid, id), faults, &index, tell, options),
            Err(e) => {
                say(&e.to_string());
                1
            }
        }
    })?;
    match ready.read(&mut [0]).about(|| "waiting for who fills behind it".into())? {
        1 => Ok(()),
        _ => refuse(RefusalKind::Internal, "who was to fill behind it has ended: leave out --lazy"),
    }
}

/// May we? Asked before anything is started.
pub fn allowed(options: &Options) -> Result<()> {
    if options.lazy.is_some() {
        page_faults::check()?;
    }
    Ok(())
}
