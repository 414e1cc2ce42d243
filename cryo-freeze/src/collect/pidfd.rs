//! `PIDF`: processes as files; those of the image.

use cryo_format::section::pidfd::Pidfd;

use super::description::{Cx, Description};
use crate::Result;

/// Adds it.
pub fn collect<'c>(cx: &mut Cx<'c>, d: &'c Description<'c>) -> Result<bool> {
    let f = d.first();
    if !f.is_anon("pidfd") {
        return Ok(false);
    }
    let pid = f.info.number("Pid");
    if let Some(process) = cx.scenes.iter().find(|s| pid == Some(s.pid.into())) {
        cx.out.add(d.id, Pidfd { open_flags: f.open_flags(), process: process.id });
        return Ok(true);
    }
    let pid = match pid {
        Some(-1) => {
            cx.why = Some("the process that it refers to has ended".into());
            return Ok(false);
        }
        pid => pid.map_or_else(String::new, |p| format!(" {p}")),
    };
    cx.why = Some(format!("the process{pid} that it refers to is not in the image"));
    Ok(false)
}
