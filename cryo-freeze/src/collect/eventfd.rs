//! `EVFD`: event counters.

use cryo_format::section::eventfd::Eventfd;

use super::description::{Cx, Description};
use crate::Result;

/// Adds it.
pub fn collect<'c>(cx: &mut Cx<'c>, d: &'c Description<'c>) -> Result<bool> {
    let f = d.first();
    if !f.is_anon("eventfd") {
        return Ok(false);
    }
    let count = f.info.all("eventfd-count").next().and_then(|t| u64::from_str_radix(t, 16).ok()).unwrap_or(0);
    let semaphore = f.info.number("eventfd-semaphore");
    if semaphore.is_none() {
        cx.out.note(f.name(), "this kernel does not tell whether it is a semaphore (before 6.5): taken as a counter");
    }
    let semaphore = u32::from(semaphore.unwrap_or(0) != 0);
    cx.out.add(d.id, Eventfd { open_flags: f.open_flags(), count, semaphore, reserved: 0 });
    Ok(true)
}
