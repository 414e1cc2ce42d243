//! The process that is measured, and what it says of itself in its log.

use std::{
    fs,
    path::PathBuf,
    process::Stdio,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use rustix::process::{Pid, WaitOptions, waitpid};

use crate::run::{Guard, bare, end_family};

const READY: Duration = Duration::from_mins(1);

/// `xtask/bench/subject.c`, in one of its states.
pub struct Subject {
    log: PathBuf,
    process: Guard,
}

/// A time in which it did not run (`CLOCK_REALTIME`, ns).
#[derive(Clone, Copy)]
pub struct Gap {
    pub start: i64,
    pub end: i64,
}

impl Subject {
    /// Starts it, and waits until it has the state that is asked for.
    pub fn start(program: &std::path::Path, log: PathBuf, kind: &str, count: &str) -> Result<Self> {
        let _ = fs::remove_file(&log);
        let mut cmd = bare(program);
        cmd.arg(&log).args([kind, count]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut subject = Self { log, process: Guard(cmd.spawn()?) };
        let end = Instant::now() + READY;
        while !fs::read_to_string(&subject.log).is_ok_and(|log| log.starts_with("ready ") && log.contains('\n')) {
            if let Some(status) = subject.process.0.try_wait()? {
                bail!("the program to be frozen ended with {status} before it was ready");
            }
            if Instant::now() > end {
                bail!("the program to be frozen was not ready within {} s", READY.as_secs());
            }
            sleep(Duration::from_millis(5));
        }
        Ok(subject)
    }

    pub fn pid(&self) -> u32 {
        self.process.0.id()
    }

    /// The gaps that it saw so far.
    pub fn gaps(&self) -> Vec<Gap> {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let gap = |line: &str| {
            let (start, end) = line.strip_prefix("gap ")?.split_once(' ')?;
            Some(Gap { start: start.parse().ok()?, end: end.parse().ok()? })
        };
        log.lines().filter_map(gap).collect()
    }

    /// The gap that began before the one time and ended after the other, once the program has written of it.
    pub fn wait_for_gap(&self, before: i64, after: i64) -> Result<Gap> {
        let end = Instant::now() + READY;
        loop {
            if let Some(gap) = self.gaps().into_iter().find(|g| g.start <= before && g.end >= after) {
                return Ok(gap);
            }
            if Instant::now() > end {
                bail!("the thawed program did not run within {} s", READY.as_secs());
            }
            sleep(Duration::from_millis(1));
        }
    }

    /// Waits for the end that cryo-freeze made to it.
    pub fn wait_for_end(&mut self) -> Result<()> {
        crate::run::wait(&mut self.process.0, "the program that cryo-freeze was to end", READY)?;
        Ok(())
    }
}

/// Ends a thawed copy, which is our child since what thawed it is gone (see `main`).
pub fn end(pid: u32) {
    end_family(pid);
    let _ = Pid::from_raw(pid as i32).map(|pid| waitpid(Some(pid), WaitOptions::empty()));
}
