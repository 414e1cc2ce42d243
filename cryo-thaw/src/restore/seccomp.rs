//! `SECC`: seccomp.

use cryo_format::section::seccomp::{Filter, Seccomp};
use cryo_tracee::Host;
use cryo_tracee::proc::Status;

use crate::Result;
use crate::error::{RefusalKind, refuse};

const CAP_SYS_ADMIN: u32 = 21;
const STRICT: u32 = 1;
const SECCOMP_SET_MODE_STRICT: u64 = 0;
const SECCOMP_SET_MODE_FILTER: u64 = 1;
const SECCOMP_FILTER_FLAG_TSYNC: u64 = 1;

/// Before a host exists.
pub fn check() -> Result<()> {
    let us = Status::of(std::process::id() as i32)?;
    if us.hex("CapEff") >> CAP_SYS_ADMIN & 1 == 0 || us.number("Seccomp").unwrap_or(0) != 0 {
        return refuse(
            RefusalKind::Seccomp,
            "the program is restricted by seccomp, and to put that in force again takes CAP_SYS_ADMIN: thaw it as root (itself not under seccomp)",
        );
    }
    Ok(())
}

/// Restricts each thread again; in our hands they stay free. `each` is what holds for each of them, in their order.
pub fn restore(host: &mut Host, each: &[&Seccomp]) -> Result<()> {
    let Some(first) = each.first() else { return Ok(()) };
    host.suspend_seccomp()?;
    // Filters that all have in common are installed once for all, and so are one for the kernel: only then can the program add to them for all at once.
    let common =
        (0..first.filters.len()).take_while(|n| each.iter().all(|s| s.filters.get(*n) == first.filters.get(*n)));
    let common = common.count();
    for (i, s) in each.iter().enumerate() {
        for (n, filter) in s.filters.iter().enumerate() {
            if n >= common {
                install(host, i, filter, 0)?;
            } else if i == 0 {
                install(host, 0, filter, SECCOMP_FILTER_FLAG_TSYNC)?;
            }
        }
        if s.mode == STRICT {
            host.remote_at(i)?.call(libc::SYS_seccomp, [SECCOMP_SET_MODE_STRICT, 0, 0, 0, 0, 0])?;
        }
    }
    Ok(())
}

fn install(host: &mut Host, i: usize, filter: &Filter, flags: u64) -> Result<()> {
    let mut remote = host.remote_at(i)?;
    let mut program = Vec::with_capacity(filter.program.len() * 8);
    for i in &filter.program {
        program.extend_from_slice(&i.code.to_le_bytes());
        program.extend_from_slice(&[i.jt, i.jf]);
        program.extend_from_slice(&i.k.to_le_bytes());
    }
    let mut batch = remote.batch_for(program.len() + 32)?;
    let at = batch.put(&program).addr;
    let header = batch.put(&[filter.program.len() as u64, at].map(u64::to_le_bytes).concat());
    let call = batch.call(libc::SYS_seccomp, &[SECCOMP_SET_MODE_FILTER, flags | u64::from(filter.flags), header.addr]);
    match remote.run(batch)?.result(call)? {
        0 => Ok(()),
        tid => refuse(RefusalKind::Seccomp, format!("a seccomp filter could not be put in force for thread {tid}")),
    }
}
