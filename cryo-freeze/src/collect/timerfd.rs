//! `TMFD`: timers as files.

use cryo_format::section::timerfd::Timerfd;
use cryo_tracee::proc::FdInfo;

use super::description::{Cx, Description};
use super::{RefusalKind, refuse};
use crate::Result;

/// Adds it, with the time that is left.
pub fn collect<'c>(cx: &mut Cx<'c>, d: &'c Description<'c>) -> Result<bool> {
    let f = d.first();
    if !f.is_anon("timerfd") {
        return Ok(false);
    }
    let seen = |info: &FdInfo| Some((nanoseconds(info, "it_value")?, nanoseconds(info, "it_interval")?));
    let (mut times, mut fresh) = (seen(&f.info), None);
    if !times.is_some_and(|(value, interval)| value != 0 || interval == 0) {
        // A periodic timer that has expired is brought up to date only by asking it.
        times = Some(cryo_tracee::fds::timer_left(&cx.take(f)?)?);
        fresh = Some(FdInfo::of(cx.of(f).live_tid, f.fd)?);
    }
    let info = fresh.as_ref().unwrap_or(&f.info);
    let (Some((value_ns, interval_ns)), Some(clock)) = (times, info.number("clockid")) else {
        return refuse(
            RefusalKind::Machine,
            format!("{}: this kernel does not tell its clock: use --fd {}=null", f.name(), f.fd),
        );
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

/// `(seconds, nanoseconds)`
fn nanoseconds(info: &FdInfo, key: &str) -> Option<u64> {
    let (s, ns) = info.all(key).next()?.strip_prefix('(')?.strip_suffix(')')?.split_once(", ")?;
    s.parse::<u64>().ok()?.checked_mul(1_000_000_000)?.checked_add(ns.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::{FdInfo, nanoseconds};

    #[test]
    fn times() {
        let text = "clockid: 1\nticks: 0\nsettime flags: 01\nit_value: (7, 999999999)\nit_interval: (0, 0)\n";
        let info = FdInfo(text.into());
        assert_eq!((nanoseconds(&info, "it_value"), nanoseconds(&info, "it_interval")), (Some(7_999_999_999), Some(0)));
        assert_eq!(info.all("settime flags").next(), Some("01"));
    }

    #[test]
    fn not_understood() {
        let digits = "9".repeat(40);
        for text in [
            "it_value: (1)",
            "it_value: 1, 2",
            "it_value: (-1, 0)",
            "it_value: (18446744073709551615, 1)",
            "x: 1",
            &format!("it_value: ({digits}, 0)"),
        ] {
            assert_eq!(nanoseconds(&FdInfo(text.into()), "it_value"), None, "{text}");
        }
    }
}
