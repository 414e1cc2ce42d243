//! `overseer show`: the lists of a family, as they are now.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};

use anyhow::{Context, Result};
use cryo_format::text::message;
use cryo_freeze::keeper::Keeper;
use serde_json::{Value, json};

use super::attach::nobody;

/// Prints the lists of the family of process `pid`.
pub fn show(pid: i32, as_json: bool) -> Result<()> {
    let keeper = Keeper::of(pid).with_context(|| nobody(pid))?;
    let mut line = String::new();
    BufReader::new(keeper.ask(&json!({ "show": true }))?).read_line(&mut line)?;
    let lists: Value = serde_json::from_str(&line).context("the keeper's answer")?;
    let text = if as_json { format!("{}\n", serde_json::to_string_pretty(&lists)?) } else { table(&lists) };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

/// The lists for people.
pub fn table(lists: &Value) -> String {
    let mut out = String::new();
    let word = |value: &Value| match value {
        Value::String(text) => message(text),
        Value::Null => "-".into(),
        other => other.to_string(),
    };
    for member in lists["members"].as_array().into_iter().flatten() {
        let _ = writeln!(out, "process {}, parent {}: {}", member["pid"], member["parent"], word(&member["program"]));
        let mut rows: Vec<_> = member["descriptors"].as_object().into_iter().flatten().collect();
        rows.sort_by_key(|(_, d)| d["order"].as_u64());
        if !rows.is_empty() {
            let _ = writeln!(
                out,
                "  {:>5} {:>4} {:9} {:>9} {:>5}  opened as, and what it is now",
                "made", "fd", "kind", "flags", "mode"
            );
        }
        for (fd, d) in rows {
            let made = if d["order"] == 0 { "given".into() } else { word(&d["order"]) };
            let flags = format!("{:o}", d["flags"].as_u64().unwrap_or(0));
            let mode = format!("{:o}", d["mode"].as_u64().unwrap_or(0));
            let (path, now) = (word(&d["path"]), word(&d["now"]));
            let _ = writeln!(out, "  {made:>5} {fd:>4} {:9} {flags:>9} {mode:>5}  {path} -> {now}", word(&d["kind"]));
        }
        for (signal, h) in member["handlers"].as_object().into_iter().flatten() {
            let handler = match h["handler"].as_u64() {
                Some(1) => "ignored".into(),
                at => format!("handler {:#x}, flags {:#x}", at.unwrap_or(0), h["flags"].as_u64().unwrap_or(0)),
            };
            let _ = writeln!(out, "  signal {signal}: {handler}");
        }
        for timer in member["timers"].as_array().into_iter().flatten() {
            let state = if timer["set"] == true { "set" } else { "not set" };
            let _ = writeln!(out, "  {} timer {}: {state}", word(&timer["kind"]), timer["id"]);
        }
        for difference in member["differences"].as_array().into_iter().flatten() {
            let _ = writeln!(out, "  {}: {}", word(&difference[0]), word(&difference[1]));
        }
        for shared in member["shared"].as_array().into_iter().flatten() {
            let _ = writeln!(out, "  shared: {}", word(shared));
        }
    }
    out
}
