//! How a thread is scheduled: sched_getattr(2), sched_getaffinity(2), ioprio_get(2). All of it can be asked and set from outside.

use std::fs;

use crate::error::Context;
use crate::{Error, Result, fault};

/// linux/sched/types.h struct sched_attr.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Bytes of this structure that the kernel has filled.
    pub size: u32,
    /// SCHED_*.
    pub policy: u32,
    /// SCHED_FLAG_*.
    pub flags: u64,
    /// -20 to 19.
    pub nice: i32,
    /// Of SCHED_FIFO and SCHED_RR.
    pub priority: u32,
    /// Of SCHED_DEADLINE in nanoseconds; otherwise the time slice.
    pub runtime: u64,
    /// Of SCHED_DEADLINE.
    pub deadline: u64,
    /// Of SCHED_DEADLINE.
    pub period: u64,
    /// Least utilization, of 1024.
    pub util_min: u32,
    /// Highest utilization, of 1024.
    pub util_max: u32,
}

/// How thread `tid` is scheduled.
pub fn attributes(tid: i32) -> Result<Attributes> {
    let what = || format!("reading how thread {tid} is scheduled");
    fault::point().about(what)?;
    let mut a = Attributes::default();
    // SAFETY: the kernel writes at most the announced size into `a`.
    let r = unsafe { libc::syscall(libc::SYS_sched_getattr, tid, &raw mut a, size_of::<Attributes>(), 0) };
    if r == 0 { Ok(a) } else { Err(Error::last(what())) }
}

/// Sets it.
pub fn set_attributes(tid: i32, a: &Attributes) -> Result<()> {
    let a = Attributes { size: size_of::<Attributes>() as u32, ..*a };
    // SAFETY: the kernel reads the size that the structure announces.
    let r = unsafe { libc::syscall(libc::SYS_sched_setattr, tid, &raw const a, 0) };
    if r == 0 { Ok(()) } else { Err(Error::last(format!("setting how thread {tid} is scheduled"))) }
}

/// Its nice value, which a policy that has no use for it keeps all the same. (sched_getattr(2) shows 0 then.)
pub fn nice(tid: i32) -> Result<i32> {
    let what = || format!("reading the nice value of thread {tid}");
    fault::point().about(what)?;
    // SAFETY: takes two numbers. The system call itself gives 40 to 1 for -20 to 19, so that no value is an error.
    let r = unsafe { libc::syscall(libc::SYS_getpriority, libc::PRIO_PROCESS, tid) };
    if r < 0 { Err(Error::last(what())) } else { Ok(20 - r as i32) }
}

/// Sets it.
pub fn set_nice(tid: i32, nice: i32) -> Result<()> {
    // SAFETY: takes three numbers.
    let r = unsafe { libc::syscall(libc::SYS_setpriority, libc::PRIO_PROCESS, tid, nice) };
    if r == 0 { Ok(()) } else { Err(Error::last(format!("setting the nice value of thread {tid}"))) }
}

/// CPUs that it may run on, bit n%8 of byte n/8 for CPU n.
pub fn affinity(tid: i32) -> Result<Vec<u8>> {
    let what = || format!("reading the CPUs of thread {tid}");
    fault::point().about(what)?;
    let mut mask = vec![0_u8; 1024];
    // SAFETY: the kernel writes at most the announced length.
    let n = unsafe { libc::syscall(libc::SYS_sched_getaffinity, tid, mask.len(), mask.as_mut_ptr()) };
    if n < 0 {
        return Err(Error::last(what()));
    }
    mask.truncate(n as usize);
    Ok(trim(mask))
}

/// Sets them; those that are not here do not matter, as long as one is.
pub fn set_affinity(tid: i32, mask: &[u8]) -> Result<()> {
    // SAFETY: the kernel reads the announced length.
    let r = unsafe { libc::syscall(libc::SYS_sched_setaffinity, tid, mask.len(), mask.as_ptr()) };
    if r == 0 { Ok(()) } else { Err(Error::last(format!("setting the CPUs of thread {tid}"))) }
}

/// The CPUs that are there, in the same form.
pub fn online() -> Result<Vec<u8>> {
    let path = "/sys/devices/system/cpu/online";
    let text = fs::read_to_string(path).about(|| format!("reading {path}"))?;
    cpus(text.trim()).ok_or_else(|| Error::Proc { file: path.into(), text })
}

/// How many CPUs there may ever be, by whose number the kernel portions things out.
pub fn possible() -> Result<u64> {
    let path = "/sys/devices/system/cpu/possible";
    let text = fs::read_to_string(path).about(|| format!("reading {path}"))?;
    let mask = cpus(text.trim()).ok_or_else(|| Error::Proc { file: path.into(), text })?;
    Ok(mask.iter().map(|byte| u64::from(byte.count_ones())).sum())
}

/// `0-3,8` as a mask.
fn cpus(list: &str) -> Option<Vec<u8>> {
    let mut mask = Vec::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        for n in first.parse::<u16>().ok()?..=last.parse().ok()? {
            let byte = usize::from(n / 8);
            mask.resize(mask.len().max(byte + 1), 0);
            mask[byte] |= 1 << (n % 8);
        }
    }
    Some(mask)
}

fn trim(mut mask: Vec<u8>) -> Vec<u8> {
    let len = mask.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
    mask.truncate(len);
    mask
}

const IOPRIO_WHO_PROCESS: i32 = 1;

/// I/O class and level.
pub fn ioprio(tid: i32) -> Result<u32> {
    let what = || format!("reading the I/O priority of thread {tid}");
    fault::point().about(what)?;
    // SAFETY: takes two numbers.
    let r = unsafe { libc::syscall(libc::SYS_ioprio_get, IOPRIO_WHO_PROCESS, tid) };
    if r < 0 { Err(Error::last(what())) } else { Ok(r as u32) }
}

/// Sets them.
pub fn set_ioprio(tid: i32, ioprio: u32) -> Result<()> {
    // SAFETY: takes three numbers.
    let r = unsafe { libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, tid, ioprio) };
    if r == 0 { Ok(()) } else { Err(Error::last(format!("setting the I/O priority of thread {tid}"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cpus() {
        assert_eq!(cpus("0-3,8"), Some(vec![0b1111, 1]));
        assert_eq!(cpus("0"), Some(vec![1]));
        assert_eq!(cpus(""), None);
        assert_eq!(trim(vec![1, 0, 0]), [1]);
    }
}
