//! The line that tells how far a freeze has come: on a terminal, when it takes longer than half a second.

use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use cryo_freeze::Progress;

struct Line {
    /// When the first page was read.
    begun: Option<Instant>,
    shown: Option<Instant>,
}

/// Draws on stderr, and wipes the line away when all is read: before the original ends, of which a shell may have something to say; or, where the freeze
/// fails, when it is dropped with the options.
pub fn on_stderr() -> Progress {
    if !std::io::stderr().is_terminal() {
        return Progress::default();
    }
    let line = Mutex::new(Line { begun: None, shown: None });
    Progress::to(move |done, total| line.lock().unwrap_or_else(PoisonError::into_inner).show(done, total))
}

impl Line {
    fn show(&mut self, done: u64, total: u64) {
        if done >= total {
            return self.wipe();
        }
        let now = Instant::now();
        let begun = *self.begun.get_or_insert(now);
        let due = self.shown.map_or(begun + Duration::from_millis(500), |t| t + Duration::from_millis(100));
        if now < due {
            return;
        }
        self.shown = Some(now);
        let mut text = words(done, total, now - begun);
        // A line that fills the terminal would go on in the next one, and stay there.
        let columns = rustix::termios::tcgetwinsize(std::io::stderr()).map_or(0, |size| size.ws_col);
        text.truncate(
            match columns {
                0 => 80,
                columns => columns as usize,
            } - 1,
        );
        let _ = write!(std::io::stderr(), "\r{text}\x1b[K");
    }

    fn wipe(&mut self) {
        if self.shown.take().is_some() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.wipe();
    }
}

fn words(done: u64, total: u64, took: Duration) -> String {
    let rate = (done >> 10) as u32 as f64 / 1024.0 / took.as_secs_f64();
    format!("freezing: {} of {} MiB ({rate:.0} MiB/s)", done >> 20, total >> 20)
}
