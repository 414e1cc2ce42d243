//! What is missing in a memory, wherever the program has moved it.

use std::collections::BTreeMap;

use cryo_tracee::PageFaults;

use super::Range;

/// The missing pages of a process, or of a child that it has forked since.
pub struct Space {
    /// Its page faults.
    pub faults: PageFaults,
    /// Is it that of the process that was thawed?
    pub root: bool,
    /// Pages that somebody waits for.
    pub waiting: Vec<u64>,
    /// From where it is filled on, when nobody waits.
    pub next: u64,
    missing: Missing,
}

/// By its first address: the end, and the address of the first page in the image.
#[derive(Clone, Default)]
pub struct Missing(BTreeMap<u64, (u64, u64)>);

impl Space {
    /// Of the process that was thawed: all of this is missing.
    pub fn new(faults: PageFaults, ranges: impl Iterator<Item = Range>) -> Self {
        let mut missing = Missing::default();
        for (start, end) in ranges {
            missing.add(start, end, start);
        }
        Self { faults, root: true, waiting: Vec::new(), next: 0, missing }
    }

    /// That of a child, which lacks what this one does.
    pub fn forked(&self, faults: PageFaults) -> Self {
        Self { faults, root: false, waiting: Vec::new(), next: 0, missing: self.missing.clone() }
    }

    /// The address in the image of the page that is missing here, and how many bytes that belong together are missing from there on.
    pub fn at(&self, at: u64) -> Option<(u64, u64)> {
        let (start, (end, origin)) = self.missing.0.range(..=at).next_back()?;
        (at < *end).then(|| (origin + (at - start), end - at))
    }

    /// The next missing page from there on, or from the beginning.
    pub fn next(&self) -> Option<u64> {
        if self.at(self.next).is_some() {
            return Some(self.next);
        }
        let behind = self.missing.0.range(self.next..).next();
        behind.or_else(|| self.missing.0.first_key_value()).map(|(start, _)| *start)
    }

    /// The first missing page in a range of addresses.
    pub fn next_in(&self, (start, end): Range) -> Option<u64> {
        if self.at(start).is_some() {
            return Some(start);
        }
        self.missing.0.range(start..end).next().map(|(start, _)| *start)
    }

    /// These are there now, or nobody needs them any more.
    pub fn done(&mut self, range: Range) {
        self.missing.take(range);
    }

    /// They are elsewhere.
    pub fn moved(&mut self, from: u64, to: u64, len: u64) {
        let parts = self.missing.take((from, from.saturating_add(len)));
        self.missing.take((to, to.saturating_add(len)));
        for (start, end, origin) in parts {
            self.missing.add(start - from + to, end - from + to, origin);
        }
    }
}

impl Missing {
    fn add(&mut self, start: u64, end: u64, origin: u64) {
        // What lies together here and in the image is one.
        if let Some((before, (last, first))) = self.0.range_mut(..start).next_back()
            && *last == start
            && *first + (start - before) == origin
        {
            *last = end;
            return;
        }
        self.0.insert(start, (end, origin));
    }

    /// Takes out what lies in the range: first address, end, address in the image.
    fn take(&mut self, (from, to): Range) -> Vec<(u64, u64, u64)> {
        let first =
            self.0.range(..=from).next_back().filter(|(_, (end, _))| *end > from).map_or(from, |(start, _)| *start);
        let hit: Vec<u64> = self.0.range(first..to.max(first)).map(|(start, _)| *start).collect();
        let mut taken = Vec::with_capacity(hit.len());
        for start in hit {
            let Some((end, origin)) = self.0.remove(&start) else { continue };
            if start < from {
                self.0.insert(start, (from, origin));
            }
            if end > to {
                self.0.insert(to, (end, origin + (to - start)));
            }
            let (lo, hi) = (start.max(from), end.min(to));
            taken.push((lo, hi, origin + (lo - start)));
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(parts: &[(u64, u64, u64)]) -> Missing {
        let mut missing = Missing::default();
        for (start, end, origin) in parts {
            missing.add(*start, *end, *origin);
        }
        missing
    }

    fn all(missing: &Missing) -> Vec<(u64, u64, u64)> {
        missing.0.iter().map(|(start, (end, origin))| (*start, *end, *origin)).collect()
    }

    #[test]
    fn what_is_taken_is_cut_out() {
        let mut m = missing(&[(10, 20, 10), (20, 30, 20), (40, 50, 140)]);
        assert_eq!(all(&m), [(10, 30, 10), (40, 50, 140)], "neighbours are one");
        assert_eq!(m.take((15, 18)), [(15, 18, 15)]);
        assert_eq!(all(&m), [(10, 15, 10), (18, 30, 18), (40, 50, 140)]);
        assert_eq!(m.take((25, 45)), [(25, 30, 25), (40, 45, 140)]);
        assert_eq!(all(&m), [(10, 15, 10), (18, 25, 18), (45, 50, 145)]);
        assert_eq!(m.take((15, 18)), []);
        assert_eq!(m.take((0, 100)).len(), 3);
        assert_eq!(all(&m), []);
    }
}
