//! How many pages of what kind there are in each range of memory.

use cryo_format::section::extents::Extents;

use crate::ice::Ice;
use crate::page_count::PageCount;

/// The pages of `owner` in each of `ranges` (start, end), which ascend, and how many lie in none of them.
pub fn by_range(ice: &Ice, owner: u64, ranges: &[(u64, u64)]) -> (Vec<PageCount>, u64) {
    let page = ice.page_size();
    let mut found = vec![PageCount::default(); ranges.len()];
    let mut outside = 0u64;
    // Both ascend, so one walk over both is enough, however long a hostile file makes them.
    let (mut i, mut done) = (0, 0);
    for e in ice.sections::<Extents>(owner).flat_map(|x| &x.extents) {
        let start = e.vaddr.0;
        let Some(end) = e.pages.checked_mul(page).and_then(|len| start.checked_add(len)).filter(|_| start >= done)
        else {
            outside = outside.saturating_add(e.pages);
            continue;
        };
        let mut here = start;
        while i < ranges.len() && here < end {
            let (from, to) = ranges[i];
            if from >= end {
                break;
            }
            let (a, b) = (here.max(from), end.min(to));
            if a < b {
                outside = outside.saturating_add((a - here) / page);
                found[i].add(e.content, (b - a) / page);
                here = b;
            }
            if to <= end {
                i += 1;
            }
        }
        outside = outside.saturating_add((end - here) / page);
        done = end;
    }
    (found, outside)
}
