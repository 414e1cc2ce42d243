//! Looking through memory, a piece at a time: never more of an image is in memory than one piece.

use cryo_format::Result;
use regex::bytes::Regex;

use crate::space::{Place, Run, Space};

/// Bytes that are read at once.
const PIECE: usize = 1 << 20;
/// No match is longer.
pub const LONGEST: usize = 4096;

/// Calls `hit` with the address and the bytes of each match in these ranges, in ascending order, until it says no. Pages that are all zero are not
/// looked into, but for what a match may have of them at its ends.
pub fn scan(
    space: &mut Space<'_>,
    ranges: &[(u64, u64)],
    pattern: &Regex,
    mut hit: impl FnMut(u64, &[u8]) -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    for (lo, hi) in ranges {
        let runs: Vec<Run> = space.within(*lo, *hi).collect();
        // What has been read and may be the beginning of a match.
        let mut kept: Vec<u8> = Vec::new();
        let mut next = *lo;
        let mut from = *lo;
        for (i, run) in runs.iter().enumerate() {
            let (start, end) = (run.start, run.end);
            if start != next {
                kept.clear();
            }
            let adjoins = runs.get(i + 1).is_some_and(|r| r.start == end && r.place != Place::Absent);
            let mut here = start;
            while here < end {
                let mut n = (end - here).min(PIECE as u64) as usize;
                if run.place == Place::Zero {
                    n = n.min(LONGEST);
                }
                let at = here - kept.len() as u64;
                let old = kept.len();
                kept.resize(old + n, 0);
                let got = if run.place == Place::Absent { 0 } else { read(space, here, &mut kept[old..])? };
                kept.truncate(old + got);
                for found in pattern.find_iter(&kept) {
                    let (a, b) = (at + found.start() as u64, at + found.end() as u64);
                    // A match that reaches to the end may go on in what follows.
                    let goes_on = here + (got as u64) < end || adjoins;
                    if a < from || (found.end() == kept.len() && goes_on && found.len() < LONGEST) {
                        continue;
                    }
                    if b > a && !hit(a, found.as_bytes())? {
                        return Ok(());
                    }
                    from = b;
                }
                here += got as u64;
                // What was found already is not looked at again.
                let done = (from.saturating_sub(at) as usize).min(kept.len());
                kept.drain(..done.max(kept.len().saturating_sub(LONGEST)));
                if got < n {
                    kept.clear();
                    break;
                }
                if run.place == Place::Zero && here < end {
                    // The last zeros before what follows are looked at with it.
                    here = end.saturating_sub(LONGEST as u64).max(here);
                    kept.clear();
                }
            }
            next = end;
        }
    }
    Ok(())
}

fn read(space: &mut Space<'_>, addr: u64, out: &mut [u8]) -> Result<usize> {
    space.read(addr, out)
}
