//! `overseer attach`: stands by a family whose overseer has died.

use std::io::{BufRead, BufReader};

use anyhow::{Context, Result, bail};
use cryo_freeze::keeper::Keeper;
use serde_json::{Value, json};

/// Waits for the end of the family that process `pid` belongs to; returns its root's exit status as a shell says it.
pub fn attach(pid: i32) -> Result<i32> {
    let keeper = Keeper::of(pid).with_context(|| nobody(pid))?;
    let mut lines = BufReader::new(keeper.ask(&json!({ "attach": true }))?).lines();
    while let Some(line) = lines.next().transpose()? {
        let said: Value = serde_json::from_str(&line)?;
        if let Some(status) = said["ended"].as_i64() {
            return Ok(cryo_tracee::signals::Ended::of(status as i32).code());
        }
    }
    bail!("the keeper of process {pid} was killed, and the family with it")
}

/// Why a process has no lists.
pub fn nobody(pid: i32) -> String {
    format!("process {pid} is not watched by an overseer: start it with `overseer run -- PROGRAM`")
}
