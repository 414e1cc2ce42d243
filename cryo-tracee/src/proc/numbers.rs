//! Pids in paths below /proc.

/// The same path with other numbers, in `/proc/PID`, `/proc/PID/task/TID`, and what is below them; none if it stays the same.
pub fn renumbered(path: &[u8], by: impl Fn(i32) -> i32) -> Option<Vec<u8>> {
    let rest = path.strip_prefix(b"/proc/")?;
    let mut parts: Vec<Vec<u8>> = rest.split(|b| *b == b'/').map(<[u8]>::to_vec).collect();
    let mut changed = renumber(parts.first_mut()?, &by);
    if parts.get(1).is_some_and(|part| part == b"task")
        && let Some(tid) = parts.get_mut(2)
    {
        changed |= renumber(tid, &by);
    }
    changed.then(|| [&b"/proc/"[..], &parts.join(&b'/')].concat())
}

/// Gives a part that is a number another one; false if it is none, or stays the same.
pub fn renumber(part: &mut Vec<u8>, by: impl Fn(i32) -> i32) -> bool {
    let Some(number) = std::str::from_utf8(part).ok().and_then(|text| text.parse::<i32>().ok()) else { return false };
    let other = by(number);
    if other == number || part.starts_with(b"+") {
        return false;
    }
    *part = other.to_string().into_bytes();
    true
}
