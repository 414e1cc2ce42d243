//! Progress on stderr, when it takes longer than half a second and stderr is a terminal.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Counts bytes.
pub struct Progress {
    begun: Instant,
    shown: Option<Instant>,
    done: u64,
    total: u64,
    enabled: bool,
}

impl Progress {
    pub fn new(total: u64, enabled: bool) -> Self {
        let enabled = enabled && std::io::stderr().is_terminal();
        Self { begun: Instant::now(), shown: None, done: 0, total, enabled }
    }

    pub fn add(&mut self, bytes: u64) {
        self.done += bytes;
        let now = Instant::now();
        let due = self.shown.map_or(self.begun + Duration::from_millis(500), |t| t + Duration::from_millis(100));
        if !self.enabled || now < due {
            return;
        }
        self.shown = Some(now);
        let rate = (self.done >> 10) as u32 as f64 / 1024.0 / (now - self.begun).as_secs_f64();
        let mib = |b: u64| b >> 20;
        let _ = write!(
            std::io::stderr(),
            "\rfreezing: {} of {} MiB ({:.0} MiB/s) ",
            mib(self.done),
            mib(self.total.max(self.done)),
            rate
        );
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown.is_some() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
