//! What makes a freeze due (`--freeze-on`).

use std::str::FromStr;

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

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trigger {
    /// This signal was sent to the overseer.
    Signal(i32),
}

impl FromStr for Trigger {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.strip_prefix("SIG").unwrap_or(text);
        match SIGNALS.iter().find(|(known, _)| *known == name) {
            Some((_, signal)) => Ok(Self::Signal(*signal)),
            None => Err(format!("{text:?} is nothing that can be waited for: use SIGTERM, SIGPWR, SIGUSR1, ...")),
        }
    }
}

/// A signal's name.
pub fn name(signal: i32) -> String {
    let known = SIGNALS.iter().find(|(_, number)| *number == signal);
    known.map_or_else(|| format!("signal {signal}"), |(name, _)| format!("SIG{name}"))
}
