//! `PIDF`: processes as files; those of the image, which is the process itself.

use cryo_format::section::pidfd::Pidfd;

use super::description::{Cx, Description};
use crate::Result;

/// Adds it.
pub fn collect<'c>(cx: &mut Cx<'c>, d: &'c Description<'c>) -> Result<bool> {
    let f = d.first();
    if !f.is_anon("pidfd") {
        return Ok(false);
    }
    match f.info.number("Pid") {
        Some(pid) if pid == i64::from(cx.scene.pid) => {}
        Some(-1) => {
            cx.why = Some("the process that it refers to has ended".into());
            return Ok(false);
        }
        pid => {
            let pid = pid.map_or_else(String::new, |p| format!(" {p}"));
            cx.why = Some(format!("the process{pid} that it refers to is not in the image"));
            return Ok(false);
        }
    }
    cx.out.add(d.id, Pidfd { open_flags: f.open_flags(), process: cx.scene.id });
    Ok(true)
}
