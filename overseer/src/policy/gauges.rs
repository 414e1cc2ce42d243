//! What is read from the machine while a program runs: memory in use, time lost waiting for memory, load.

use std::fs;

use cryo_tracee::proc::{Meminfo, MemoryGroup};

/// How much of the memory that process `pid` may have is in use, in percent: of the control groups it is in, and of the machine, the fullest.
#[allow(clippy::cast_precision_loss)] // a share, in percent
pub fn memory(pid: i32) -> Option<f64> {
    let groups = MemoryGroup::of(pid).into_iter().filter_map(|group| group.used_of_limit());
    let groups = groups.map(|(used, limit)| used as f64 / limit as f64 * 100.0);
    groups.chain(machine(&Meminfo::now())).reduce(f64::max)
}

/// The share of the last ten seconds, in percent, in which some process had to wait for memory (PSI): in the program's control group where that tells it,
/// else on the whole machine.
pub fn pressure(pid: i32) -> Option<f64> {
    let own = MemoryGroup::of(pid).into_iter().map(|group| group.0.join("memory.pressure")).find(|path| path.exists());
    some(&fs::read_to_string(own.unwrap_or("/proc/pressure/memory".into())).ok()?)
}

/// The load of the last minute (`proc_loadavg(5)`).
pub fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

/// What is not available of all the memory of the machine.
#[allow(clippy::cast_precision_loss)] // a share, in percent
fn machine(meminfo: &Meminfo) -> Option<f64> {
    Some(100.0 - meminfo.bytes("MemAvailable")? as f64 / meminfo.bytes("MemTotal")? as f64 * 100.0)
}

/// From a PSI file: `some avg10=1.23 avg60=...`.
fn some(psi: &str) -> Option<f64> {
    let line = psi.lines().find_map(|line| line.strip_prefix("some "))?;
    line.split(' ').find_map(|word| word.strip_prefix("avg10="))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_kernel_are_read() {
        let meminfo = "MemTotal:       1000 kB\nMemFree:         100 kB\nMemAvailable:    250 kB\n";
        assert_eq!(machine(&Meminfo::of(meminfo)), Some(75.0));
        assert_eq!(some("some avg10=12.50 avg60=1.00 avg300=0.00 total=9\nfull avg10=3.00\n"), Some(12.5));
    }

    #[test]
    fn this_machine_tells_them() {
        let own = std::process::id() as i32;
        let used = memory(own).unwrap();
        assert!(used > 0.0 && used < 100.0, "{used}");
        assert!(load().unwrap() >= 0.0);
        if std::path::Path::new("/proc/pressure/memory").exists() {
            assert!(pressure(own).unwrap() >= 0.0);
        }
    }
}
