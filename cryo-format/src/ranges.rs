//! Ranges of addresses: the first, and the first behind.

/// Sorted, and those that touch or overlap made one.
pub fn joined(mut ranges: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    ranges.sort_unstable();
    let mut all: Vec<(u64, u64)> = Vec::with_capacity(ranges.len());
    for (start, end) in ranges {
        match all.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => all.push((start, end)),
        }
    }
    all
}

/// What is in each of these lists, which are sorted and joined.
pub fn in_all(lists: &[&[(u64, u64)]]) -> Vec<(u64, u64)> {
    let Some((first, others)) = lists.split_first() else { return Vec::new() };
    let mut common = first.to_vec();
    for other in others {
        let mut both = Vec::new();
        for (start, end) in common {
            let from = other.partition_point(|r| r.1 <= start);
            both.extend(other[from..].iter().take_while(|r| r.0 < end).map(|r| (r.0.max(start), r.1.min(end))));
        }
        common = both;
    }
    common
}

/// What is in `ranges` and not in `others`; both are sorted and joined.
pub fn without(ranges: &[(u64, u64)], others: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut left = Vec::new();
    for &(start, end) in ranges {
        let mut at = start;
        let from = others.partition_point(|r| r.1 <= start);
        for other in others[from..].iter().take_while(|r| r.0 < end) {
            if at < other.0 {
                left.push((at, other.0));
            }
            at = other.1;
        }
        if at < end {
            left.push((at, end));
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::{in_all, joined, without};

    #[test]
    fn ranges() {
        assert_eq!(joined(vec![(4, 6), (1, 2), (2, 3), (5, 7)]), [(1, 3), (4, 7)]);
        assert_eq!(in_all(&[&[(1, 10)], &[(0, 2), (4, 5), (9, 12)]]), [(1, 2), (4, 5), (9, 10)]);
        assert_eq!(in_all(&[&[(1, 3), (5, 9)], &[(2, 6)], &[(0, 100)]]), [(2, 3), (5, 6)]);
        assert_eq!(in_all(&[&[(1, 3)], &[]]), []);
        assert_eq!(without(&[(0, 10)], &[]), [(0, 10)]);
        assert_eq!(without(&[(0, 10), (20, 30)], &[(2, 4), (8, 22), (29, 40)]), [(0, 2), (4, 8), (22, 29)]);
        assert_eq!(without(&[(0, 10)], &[(0, 10)]), []);
        assert_eq!(without(&[(1, 10), (12, 14)], &[(0, 2), (4, 5), (9, 13)]), [(2, 4), (5, 9), (13, 14)]);
        assert_eq!(without(&[(1, 3)], &[(1, 3)]), []);
    }
}
