//! `overseer attach`: stands by a family whose overseer has died, and passes signals on to it.

use std::io::{BufRead, BufReader};

use anyhow::{Context, Result, bail};
use cryo_freeze::keeper::Keeper;
use cryo_tracee::family::children;
use cryo_tracee::proc::Status;
use cryo_tracee::{foreground, signals};
use serde_json::{Value, json};

/// Waits for the end of the family that process `pid` belongs to; returns its root's exit status as a shell says it.
pub fn attach(pid: i32) -> Result<i32> {
    let keeper = Keeper::of(pid).with_context(|| nobody(pid))?;
    // What comes from now on is the program's.
    signals::hold();
    let mut stream = BufReader::new(keeper.ask(&json!({ "attach": true }))?);
    let mut line = String::new();
    while stream.read_line(&mut line)? != 0 {
        let said: Value = serde_json::from_str(&line)?;
        if let Some(status) = said["ended"].as_i64() {
            return Ok(signals::Ended::of(status as i32).code());
        }
        let root = said["root"].as_i64().and_then(|root| keeper.process(root as i32));
        if let (Some(root), true) = (root, stream.buffer().is_empty()) {
            foreground::stand_before(root, stream.get_ref())?;
        }
        line.clear();
    }
    bail!("the keeper of process {pid} was killed, and the family with it")
}

/// Why a process has no keeper.
pub fn nobody(pid: i32) -> String {
    let Ok(status) = Status::of(pid) else { return format!("there is no process {pid}") };
    let watched = |pid: &i32| Status::of(*pid).is_ok_and(|status| status.number("TracerPid").is_some_and(|t| t != 0));
    let below = || children(pid).into_iter().flat_map(|child| std::iter::once(child).chain(children(child)));
    match (status.name() == b"overseer").then(|| below().find(watched)).flatten() {
        Some(program) => format!("process {pid} is the overseer itself: its program is process {program}"),
        None => format!("process {pid} is not watched by an overseer: start it with `overseer run -- PROGRAM`"),
    }
}
