//! `SGFD`: signals as a file.

use cryo_format::prim::Addr;
use cryo_format::section::signalfd::Signalfd;

use super::description::{Cx, Description};
use crate::Result;

/// Adds it. What can be read from it are the pending signals, which stand elsewhere.
pub fn collect<'c>(cx: &mut Cx<'c>, d: &'c Description<'c>) -> Result<bool> {
    let f = d.first();
    if !f.is_anon("signalfd") {
        return Ok(false);
    }
    let mask = f.info.all("sigmask").next().and_then(|t| u64::from_str_radix(t, 16).ok()).unwrap_or(0);
    cx.out.add(d.id, Signalfd { open_flags: f.open_flags(), mask: Addr(mask) });
    Ok(true)
}
