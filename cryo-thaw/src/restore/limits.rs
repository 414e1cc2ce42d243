//! `LIMT`: resource limits.

use cryo_format::section::limits::{Limit, Limits};
use cryo_tracee::limits::{self, COUNT, NAMES};
use cryo_tracee::proc::Status;

use crate::Result;
use crate::error::{RefusalKind, refuse};
use crate::notes::Notes;
use crate::options::Options;

const CAP_SYS_RESOURCE: u32 = 24;

fn name(l: &Limit) -> &'static str {
    NAMES.get(l.resource as usize).copied().unwrap_or("(unknown)")
}

fn known(limits: &Limits) -> impl Iterator<Item = &Limit> {
    limits.limits.iter().filter(|l| l.resource < COUNT)
}

/// Before a host exists: a program that may use more than we may give it would fail later, at a place of its own choosing.
pub fn check(limits: &Limits, options: &Options) -> Result<()> {
    let us = std::process::id() as i32;
    if options.lower_limits || Status::of(us)?.hex("CapEff") >> CAP_SYS_RESOURCE & 1 != 0 {
        return Ok(());
    }
    for l in known(limits) {
        let (_, hard) = limits::get(us, l.resource)?;
        if l.soft > hard {
            return refuse(
                RefusalKind::Limits,
                format!(
                    "RLIMIT_{} of the program is {}, and not more than {hard} is allowed here: raise the hard limit of this shell \
                 (prlimit(1), as root), or use --lower-limits",
                    name(l),
                    shown(l.soft)
                ),
            );
        }
    }
    Ok(())
}

/// As much as is allowed, while the host is filled: it may need more than the program will.
pub fn lift(pid: i32, limits: Option<&Limits>) -> Result<()> {
    for resource in 0..COUNT {
        let (_, hard) = limits::get(pid, resource)?;
        let wanted = limits.and_then(|l| known(l).find(|l| l.resource == resource)).map_or(hard, |l| l.hard.max(hard));
        if limits::set(pid, resource, (wanted, wanted)).is_err() {
            limits::set(pid, resource, (hard, hard))?;
        }
    }
    Ok(())
}

/// Sets them. What may not be raised stays as it is, and is said.
pub fn restore(pid: i32, limits: &Limits, notes: &Notes) -> Result<()> {
    let mut lower = Vec::new();
    for l in known(limits) {
        let Err(e) = limits::set(pid, l.resource, (l.soft, l.hard)) else { continue };
        let (_, hard) = limits::get(pid, l.resource)?;
        if hard >= l.hard {
            return Err(e.into());
        }
        limits::set(pid, l.resource, (l.soft.min(hard), hard))?;
        lower.push(format!("RLIMIT_{} {} (was {})", name(l), shown(hard), shown(l.hard)));
    }
    if !lower.is_empty() {
        notes.add(format!("hard limits that may not be raised here: {}", lower.join(", ")));
    }
    Ok(())
}

fn shown(limit: u64) -> String {
    if limit == u64::MAX { "unlimited".to_owned() } else { limit.to_string() }
}
