//! Descriptors that are known and not carried: why, and what the person can do.

use super::anon_inodes::KINDS;
use super::description::{Cx, Description};
use crate::Result;

/// Takes nothing; says why.
pub fn collect<'c>(cx: &mut Cx<'c>, d: &'c Description<'c>) -> Result<bool> {
    let f = d.first();
    if cx.why.is_none() {
        cx.why = KINDS.iter().find(|(kind, _)| f.is_anon(kind)).map(|(_, why)| (*why).to_owned());
    }
    if cx.why.is_none() && f.link.starts_with(b"/dev/") {
        cx.why = Some("devices are not opened for an image".into());
    }
    Ok(false)
}
