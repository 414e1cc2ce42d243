//! What makes a freeze due (`--freeze-on`).

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{gauges, shutdown};

/// Signals by which somebody may ask for a freeze, by their names without SIG. Not those that stop a program or let it go on, and not those that tell of a
/// mistake in its own code.
const SIGNALS: [(&str, i32); 16] = [
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("TERM", libc::SIGTERM),
    ("USR1", libc::SIGUSR1),
    ("USR2", libc::SIGUSR2),
    ("ALRM", libc::SIGALRM),
    ("VTALRM", libc::SIGVTALRM),
    ("PROF", libc::SIGPROF),
    ("PWR", libc::SIGPWR),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
    ("IO", libc::SIGIO),
    ("URG", libc::SIGURG),
    ("WINCH", libc::SIGWINCH),
    ("STKFLT", libc::SIGSTKFLT),
];

/// What a batch system says of a job's end, in the environment of the job: the time in seconds since 1970.
const BATCH_END: &str = "SLURM_JOB_END_TIME";

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trigger {
    /// This signal was sent to the overseer.
    Signal(i32),
    /// So many percent of the memory are in use ([`gauges::memory`]).
    Memory(f64),
    /// So many percent of the time are lost waiting for memory ([`gauges::pressure`]).
    Pressure(f64),
    /// The load is that high ([`gauges::load`]).
    Load(f64),
    /// It is that late.
    Deadline(SystemTime),
    /// The machine goes down ([`shutdown`]).
    Shutdown,
}

impl Trigger {
    /// Does it come as a signal, at once? All else is looked for ([`is_due`](Self::is_due)).
    pub fn signal(&self) -> Option<i32> {
        match self {
            Self::Signal(signal) => Some(*signal),
            Self::Shutdown => Some(shutdown::SIGNAL),
            _ => None,
        }
    }

    /// Is it so now, for process `pid`? Signals tell of themselves.
    pub fn is_due(&self, pid: i32) -> bool {
        let reached = |level: Option<f64>, limit: f64| level.is_some_and(|level| level >= limit);
        match *self {
            Self::Signal(_) | Self::Shutdown => false,
            Self::Memory(limit) => reached(gauges::memory(pid), limit),
            Self::Pressure(limit) => reached(gauges::pressure(pid), limit),
            Self::Load(limit) => reached(gauges::load(), limit),
            Self::Deadline(time) => SystemTime::now() >= time,
        }
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal(signal) => f.write_str(&name(*signal)),
            Self::Memory(limit) => write!(f, "memory={limit}%"),
            Self::Pressure(limit) => write!(f, "pressure={limit}%"),
            Self::Load(limit) => write!(f, "load={limit}"),
            Self::Deadline(time) => write!(f, "deadline={}", humantime::format_rfc3339_seconds(*time)),
            Self::Shutdown => f.write_str("shutdown"),
        }
    }
}

impl FromStr for Trigger {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str, unit: &str| {
            let number = text.strip_suffix(unit).and_then(|number| number.parse::<f64>().ok());
            number
                .filter(|n| n.is_finite() && *n >= 0.0)
                .ok_or_else(|| format!("{text:?}: a number is needed: 80{unit}"))
        };
        let percent = |text: &str| match number(text, "%")? {
            more if more > 100.0 => Err(format!("{text:?}: there are 100% of it, and never more")),
            limit => Ok(limit),
        };
        let signal = text.strip_prefix("SIG").unwrap_or(text);
        match text.split_once('=') {
            Some(("memory", limit)) => percent(limit).map(Self::Memory),
            Some(("pressure", limit)) => percent(limit).map(Self::Pressure),
            Some(("load", limit)) => number(limit, "").map(Self::Load),
            Some(("deadline", time)) => deadline(time, std::env::var(BATCH_END).ok().as_deref()).map(Self::Deadline),
            _ => match SIGNALS.iter().find(|(known, _)| *known == signal) {
                Some((_, signal)) => Ok(Self::Signal(*signal)),
                None if text == "shutdown" => Ok(Self::Shutdown),
                None => Err("use a signal (SIGTERM, SIGPWR, SIGUSR1, ...), memory=80%, pressure=20%, load=8, deadline=TIME, shutdown".into()),
            },
        }
    }
}

/// `2026-11-26T12:00:00Z`, `+2h` from now, `-5m` before the end of the batch job, of which `end` tells.
fn deadline(text: &str, end: Option<&str>) -> Result<SystemTime, String> {
    let duration = |text: &str| humantime::parse_duration(text).map_err(|e| format!("{text:?}: {e}"));
    let far = || format!("{text:?} is too far away");
    if let Some(after) = text.strip_prefix('+') {
        return SystemTime::now().checked_add(duration(after)?).ok_or_else(far);
    }
    if let Some(before) = text.strip_prefix('-') {
        let Some(end) = end else {
            return Err(format!(
                "no batch system says when this job ends ({BATCH_END} is not set): use deadline=TIME or deadline=+TIME"
            ));
        };
        let end = end.parse().ok().and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
        let end = end.ok_or_else(|| format!("{BATCH_END} is no time"))?;
        return end.checked_sub(duration(before)?).ok_or_else(far);
    }
    humantime::parse_rfc3339_weak(text)
        .map_err(|e| format!("{text:?}: {e}: write it as 2026-11-26T12:00:00Z, +2h, or -5m (before a batch job's end)"))
}

/// A signal's name.
pub fn name(signal: i32) -> String {
    let known = SIGNALS.iter().find(|(_, number)| *number == signal);
    known.map_or_else(|| format!("signal {signal}"), |(name, _)| format!("SIG{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trigger_is_written_in_one_word() {
        let parse = |text: &str| text.parse::<Trigger>();
        assert_eq!(parse("SIGTERM"), Ok(Trigger::Signal(libc::SIGTERM)));
        assert_eq!(parse("PWR"), Ok(Trigger::Signal(libc::SIGPWR)));
        assert_eq!(parse("memory=80%"), Ok(Trigger::Memory(80.0)));
        assert_eq!(parse("pressure=12.5%"), Ok(Trigger::Pressure(12.5)));
        assert_eq!(parse("load=3"), Ok(Trigger::Load(3.0)));
        for wrong in
            ["", "SIGKILL", "SIGSTOP", "memory=80", "memory=", "load=-1", "load=NaN", "deadline=soon", "moon=full"]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        for text in ["SIGUSR1", "memory=80%", "pressure=5%", "load=8.5", "deadline=2026-11-26T12:00:00Z", "shutdown"] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_deadline_is_a_time_or_before_a_jobs_end() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(deadline("1970-01-01T01:00:00Z", None), Ok(at(3600)));
        assert_eq!(deadline("-5m", Some("1000")), Ok(at(700)));
        assert!(deadline("-5m", None).unwrap_err().contains(BATCH_END));
        assert!(deadline("-5m", Some("soon")).is_err());
        let later = deadline("+1h", None).unwrap().duration_since(SystemTime::now()).unwrap();
        assert!(later <= Duration::from_hours(1), "{later:?}");
    }
}
