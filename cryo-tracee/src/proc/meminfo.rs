//! The memory of the machine (proc_meminfo(5)).

use std::fs;

/// /proc/meminfo, read once.
pub struct Meminfo(String);

impl Meminfo {
    /// As it is now; empty where it cannot be read.
    pub fn now() -> Self {
        Self(fs::read_to_string("/proc/meminfo").unwrap_or_default())
    }

    /// From its text.
    pub fn of(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// A field in bytes.
    pub fn bytes(&self, name: &str) -> Option<u64> {
        let line = self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        kib.checked_mul(1024)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let text = "MemTotal:       24027072 kB\nMemFree:          5 kB\nHugePages_Total:       3\n";
        let meminfo = Meminfo::of(text);
        assert_eq!(meminfo.bytes("MemFree"), Some(5 << 10));
        assert_eq!((meminfo.bytes("Mem"), meminfo.bytes("HugePages_Total")), (None, None));
    }
}
