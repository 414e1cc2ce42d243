//! Pids in paths below /proc.

use cryo_tracee::proc::{renumber, renumbered};

use super::Pids;

/// The same path by the kernel's numbers; none if that is no other one.
pub fn to_kernel(path: &[u8], pids: &Pids) -> Option<Vec<u8>> {
    renumbered(path, |pid| pids.kernel(pid))
}

/// What readlink(2) says of `/proc/self` and `/proc/thread-self`, by the numbers that the family sees; none if that is no other one.
pub fn link_to_seen(path: &[u8], link: &[u8], pids: &Pids) -> Option<Vec<u8>> {
    if !matches!(path, b"/proc/self" | b"/proc/thread-self") {
        return None;
    }
    let mut parts: Vec<Vec<u8>> = link.split(|b| *b == b'/').map(<[u8]>::to_vec).collect();
    let changed = parts.iter_mut().fold(false, |changed, part| renumber(part, |pid| pids.seen(pid)) | changed);
    changed.then(|| parts.join(&b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_proc_follow() {
        let pids = Pids::of([(100, 7), (101, 8)]);
        for (path, wanted) in [
            ("/proc/100", Some("/proc/7")),
            ("/proc/100/stat", Some("/proc/7/stat")),
            ("/proc/100/task/101/comm", Some("/proc/7/task/8/comm")),
            ("/proc/self/task/101/comm", Some("/proc/self/task/8/comm")),
            ("/proc/100/fd/101", Some("/proc/7/fd/101")),
            ("/proc/1000", None),
            ("/proc/self/exe", None),
            ("/proc/+100", None),
            ("/srv/100", None),
        ] {
            assert_eq!(to_kernel(path.as_bytes(), &pids), wanted.map(|w| w.as_bytes().to_vec()), "{path}");
        }
        assert_eq!(link_to_seen(b"/proc/self", b"7", &pids), Some(b"100".to_vec()));
        assert_eq!(link_to_seen(b"/proc/thread-self", b"7/task/8", &pids), Some(b"100/task/101".to_vec()));
        assert_eq!(link_to_seen(b"/proc/self/exe", b"7", &pids), None);
    }
}
