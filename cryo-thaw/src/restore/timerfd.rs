//! `TMFD`: timers as files.

use cryo_format::section::timerfd::Timerfd;
use cryo_tracee::Host;

use super::open::set_flags;
use super::table::Table;
use crate::Result;
use crate::error::{Doing, RefusalKind, reason, refuse};

/// linux/timerfd.h: _IOW('T', 0, __u64).
const TFD_IOC_SET_TICKS: u64 = 0x4008_5400;

/// Makes it; it is set late.
pub fn restore(host: &mut Host, table: &mut Table<'_>, fd: u32, id: u64) -> Result<Option<u64>> {
    let Some(timer) = table.section::<Timerfd>(id) else { return Ok(None) };
    let flags = (libc::TFD_CLOEXEC | libc::TFD_NONBLOCK) as u64;
    let made = match host.call(libc::SYS_timerfd_create, [timer.clock.into(), flags, 0, 0, 0, 0]) {
        Ok(made) => made,
        Err(e) => {
            return refuse(
                RefusalKind::Timer,
                format!("fd {fd}: a timer on clock {}: {}: use --fd {fd}=null", timer.clock, reason(&e)),
            );
        }
    };
    set_flags(host, made, timer.open_flags.0)?;
    Ok(Some(made))
}

/// Sets the timers: their time runs from now on.
pub fn late(host: &mut Host, table: &Table<'_>) -> Result<()> {
    for (id, timer) in table.all::<Timerfd>() {
        let Some(fd) = table.number(id) else { continue };
        let (mut value, expired) = after(timer, table.elapsed.as_nanos().try_into().unwrap_or(u64::MAX));
        let unread = timer.ticks.saturating_add(expired);
        if timer.settime_flags & libc::TFD_TIMER_ABSTIME as u32 != 0 && value != 0 {
            value = value.saturating_add(now(host, timer.clock)?);
        }
        let times = [timer.interval_ns, value].map(|ns| [ns / 1_000_000_000, ns % 1_000_000_000]);
        let mut batch = host.batch()?;
        let times = batch.put(&times.as_flattened().iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>());
        let settime = batch.call(libc::SYS_timerfd_settime, &[fd.into(), timer.settime_flags.into(), times.addr, 0]);
        let ticks = batch.put(&unread.to_le_bytes());
        let ioctl = (unread != 0).then(|| batch.call(libc::SYS_ioctl, &[fd.into(), TFD_IOC_SET_TICKS, ticks.addr]));
        let done = host.run(batch)?;
        done.result(settime).doing(|| format!("fd {fd}: setting its timer"))?;
        if let Some(Err(e)) = ioctl.map(|call| done.result(call)) {
            table.options.notes.add(format!(
                "fd {fd}: the {unread} expirations of its timer that were not read yet are lost: {}",
                reason(&e)
            ));
        }
    }
    Ok(())
}

/// The time left and the expirations, when this much time has passed.
fn after(timer: &Timerfd, elapsed: u64) -> (u64, u64) {
    let late = match elapsed.checked_sub(timer.value_ns) {
        Some(late) if timer.value_ns != 0 => late,
        _ => return (timer.value_ns - elapsed.min(timer.value_ns), 0),
    };
    match timer.interval_ns {
        0 => (0, 1),
        interval => (interval - late % interval, 1 + late / interval),
    }
}

/// The clock in nanoseconds, as the host sees it.
fn now(host: &mut Host, clock: u32) -> Result<u64> {
    let mut batch = host.batch()?;
    let time = batch.space(16);
    batch.call(libc::SYS_clock_gettime, &[clock.into(), time.addr]);
    let done = host.run(batch)?;
    done.all().doing(|| format!("reading clock {clock}"))?;
    Ok(done.word(time, 0).saturating_mul(1_000_000_000).saturating_add(done.word(time, 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_that_has_passed() {
        let timer = |value_ns, interval_ns| Timerfd { value_ns, interval_ns, ..Timerfd::default() };
        assert_eq!(after(&timer(100, 0), 0), (100, 0));
        assert_eq!(after(&timer(100, 0), 30), (70, 0));
        assert_eq!(after(&timer(100, 0), 100), (0, 1));
        assert_eq!(after(&timer(0, 50), 1000), (0, 0));
        assert_eq!(after(&timer(100, 50), 100), (50, 1));
        assert_eq!(after(&timer(100, 50), 260), (40, 4));
    }
}
