//! `TMFD`: timers as files.

use cryo_format::section::timerfd::Timerfd;
use cryo_tracee::proc::FdInfo;

use super::descriptors::{Cx, Description};
use super::refuse;
use crate::Result;

/// Adds it, with the time that is left.
pub fn collect<'c>(cx: &mut Cx<'c>, d: &'c Description<'c>) -> Result<bool> {
    let f = d.first();
    if !f.is_anon("timerfd") {
        return Ok(false);
    }
    let (value_ns, interval_ns) = cryo_tracee::fds::timer_left(&cx.take(f)?)?;
    // What was seen of it before may be older than that.
    let info = FdInfo::of(cx.scene.pid, f.fd)?;
    let Some(clock) = info.number("clockid") else {
        return refuse(format!("{}: this kernel does not tell its clock: use --fd {}=null", f.name(), f.fd));
    };
    let settime = info.all("settime flags").next().and_then(|t| u32::from_str_radix(t, 8).ok());
    cx.out.add(
        d.id,
        Timerfd {
            open_flags: f.open_flags(),
            clock: clock as u32,
            settime_flags: settime.unwrap_or(0),
            ticks: info.number("ticks").unwrap_or(0) as u64,
            value_ns,
            interval_ns,
        },
    );
    Ok(true)
}
