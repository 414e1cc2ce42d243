//! `MM  `: landmarks of the address space.

use cryo_format::section::mm::Mm;
use cryo_tracee::Host;

use crate::Result;
use crate::error::{About, Doing, RefusalKind, reason, refuse};

/// prctl(PR_SET_MM_MAP) takes all of it at once and, as long as the executable's link is left alone, needs no capability.
pub fn restore(host: &mut Host, mm: &Mm) -> Result<()> {
    let (arch, mut batch) = (host.arch(), host.batch()?);
    let auxv: Vec<u8> = mm.auxv.iter().flat_map(|a| arch.word_of(a.0)).collect();
    let auxv_at = batch.put(&auxv);
    let landmarks = [
        mm.start_code,
        mm.end_code,
        mm.start_data,
        mm.end_data,
        mm.start_brk,
        mm.brk,
        mm.start_stack,
        mm.arg_start,
        mm.arg_end,
        mm.env_start,
        mm.env_end,
    ];
    let mut map: Vec<u8> = landmarks.iter().flat_map(|a| a.0.to_le_bytes()).collect();
    map.extend_from_slice(&auxv_at.addr.to_le_bytes());
    map.extend_from_slice(&(auxv.len() as u32).to_le_bytes());
    map.extend_from_slice(&u32::MAX.to_le_bytes()); // exe_fd: none
    let at = batch.put(&map);
    let prctl = [libc::PR_SET_MM as u64, libc::PR_SET_MM_MAP as u64, at.addr, map.len() as u64, 0];
    batch.call(libc::SYS_prctl, &prctl);
    if mm.thp_disable != 0 {
        batch.call(libc::SYS_prctl, &[libc::PR_SET_THP_DISABLE as u64, 1, u64::from(mm.thp_disable & !1)]);
    }
    if mm.memory_merge != 0 {
        batch.call(libc::SYS_prctl, &[libc::PR_SET_MEMORY_MERGE as u64, 1]);
    }
    host.run(batch)?.all().doing(|| "setting the landmarks of its memory (prctl(2), PR_SET_MM)".into())
}

/// Registrations for membarrier(2), and what is written to /proc: before credentials change.
pub fn adjust(host: &mut Host, mm: &Mm) -> Result<()> {
    for command in (0..64).map(|bit| 1 << bit).filter(|command| mm.membarrier.0 & command != 0) {
        if let Err(e) = host.call(libc::SYS_membarrier, [command, 0, 0, 0, 0, 0]) {
            return refuse(
                RefusalKind::Machine,
                format!("membarrier(2), which the program has registered for (command {command}): {}", reason(&e)),
            );
        }
    }
    let path = format!("/proc/{}/coredump_filter", host.pid());
    let now = std::fs::read_to_string(&path).about(|| format!("reading {path}"))?;
    if u64::from_str_radix(now.trim(), 16) != Ok(mm.coredump_filter.0) {
        std::fs::write(&path, format!("{}", mm.coredump_filter)).about(|| format!("writing {path}"))?;
    }
    Ok(())
}

/// mlockall(2) for memory to come: when the host needs no more of its own.
pub fn lock_future(host: &mut Host, mm: &Mm) -> Result<()> {
    if mm.mlock_future != 0
        && let Err(e) = host.call(libc::SYS_mlockall, [mm.mlock_future.into(), 0, 0, 0, 0, 0])
    {
        return refuse(
            RefusalKind::Limits,
            format!("mlockall(2) for memory to come: {}: raise RLIMIT_MEMLOCK (ulimit -l)", reason(&e)),
        );
    }
    Ok(())
}
