//! Continuing a set: `cryo-thaw` does it, and then stands before the program.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use cryo_tracee::signals;
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::pipe::{PipeFlags, pipe_with};
use serde_json::Value;

use crate::say;
use crate::watch::Watched;

/// Thaws a set that was verified, with these further options of `cryo-thaw`.
pub fn thaw(set: &Path, options: &[OsString]) -> Result<Watched> {
    let (report, into) = pipe_with(PipeFlags::CLOEXEC)?;
    // The command takes it over, and no process that it starts has it.
    fcntl_setfd(&into, FdFlags::empty())?;
    let mut command = Command::new(command("cryo-thaw")?);
    command.arg(set).args(["--no-verify", "--report-fd", &into.as_raw_fd().to_string()]).args(options);
    let mut child = signals::spawn(&mut command).context("starting cryo-thaw")?;
    drop(into);
    for line in BufReader::new(File::from(report)).lines() {
        let line: Value = serde_json::from_str(&line?).unwrap_or_default();
        if let Some(pid) = line.get("thawed").and_then(Value::as_i64) {
            return Ok(Watched::thawed(pid as i32, child.id() as i32));
        }
        if let Some(note) = line.get("note").and_then(Value::as_str) {
            say(note);
        }
        if let Some(error) = line.get("error").and_then(Value::as_str) {
            child.wait()?;
            bail!("{}: {error}", set.display());
        }
    }
    let ended = child.wait()?;
    bail!("{}: cryo-thaw ended without a word ({ended})", set.display())
}

/// A command of ours is where we are; else in the path.
fn command(name: &str) -> Result<PathBuf> {
    let beside = std::env::current_exe()?.with_file_name(name);
    Ok(if beside.is_file() { beside } else { name.into() })
}
