//! `overseer show DIR`: the sets of a directory, which one would be resumed, and what an overseer had seen when it was frozen.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::Result;
use cryo_format::section::descriptors::Descriptors;
use cryo_format::section::files::OpenFile;
use cryo_format::section::history::History;
use cryo_format::section::origin::Origin;
use cryo_format::section::process::Process;
use cryo_format::set::{self, Set};
use cryo_format::text::message;
use serde_json::{Map, Value, json};

use super::sets::{self, Sets};
use crate::watch::show::table;

/// Prints them, the newest first.
pub fn show(dir: &Path, as_json: bool) -> Result<()> {
    let mut all = Vec::new();
    let mut history = Value::Null;
    let mut resumed = false;
    for name in Sets::look(dir)?.names()? {
        let broken = sets::broken(&name);
        let set = if broken.is_none() { Some(Set::open(&name)?) } else { None };
        let resume = set.is_some() && !resumed;
        resumed |= resume;
        if let (Some(set), true) = (&set, resume) {
            history = histories(set)?;
        }
        let frozen = set.as_ref().and_then(|set| set.get::<Origin>(0).ok().flatten()).map(|origin| origin.time_sec);
        let bytes: u64 = set::locate(&name).iter().filter_map(|(_, path)| Some(path.metadata().ok()?.len())).sum();
        let name = name.file_name().unwrap_or_default().to_string_lossy().into_owned();
        all.push(json!({ "set": name, "frozen": frozen, "bytes": bytes, "resume": resume, "broken": broken }));
    }
    let text = if as_json {
        format!("{}\n", serde_json::to_string_pretty(&json!({ "sets": all, "history": history }))?)
    } else {
        for_people(&all, &history)
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

fn for_people(all: &[Value], history: &Value) -> String {
    if all.is_empty() {
        return "no set is there\n".into();
    }
    let mut out = String::new();
    for set in all {
        let seconds = set["frozen"].as_u64().map(|s| UNIX_EPOCH + Duration::from_secs(s));
        let at = seconds.map_or("-".into(), |at| humantime::format_rfc3339_seconds(at).to_string());
        let state = match (set["broken"].as_str(), set["resume"] == true) {
            (Some(why), _) => format!("not complete: {}", message(why)),
            (None, true) => "complete: resume takes this one".into(),
            (None, false) => "complete".into(),
        };
        let (name, bytes) = (set["set"].as_str().unwrap_or_default(), set["bytes"].as_u64().unwrap_or(0));
        let _ = writeln!(out, "{name}  {at:20} {bytes:>12} bytes  {state}");
    }
    match history {
        Value::Null => {}
        history if history["members"].as_array().is_none_or(Vec::is_empty) => {
            out.push_str("it was not watched: it has no history\n");
        }
        history => out.push_str(&table(history)),
    }
    out
}

/// The histories in a set, as the lists of a family that runs are shown.
fn histories(set: &Set) -> Result<Value> {
    let mut members = Vec::new();
    for (owner, history) in set.all::<History>()? {
        let process = set.get::<Process>(owner)?.unwrap_or_default();
        let open = set.get::<Descriptors>(owner)?.unwrap_or_default();
        let mut descriptors = Map::new();
        for made in &history.descriptors {
            let description = open.descriptors.iter().find(|d| d.fd == made.fd).map_or(0, |d| d.description);
            let now = set.get::<OpenFile>(description)?.map(|file| text(&file.path));
            let names: Vec<String> = made.names.iter().map(|name| text(name)).collect();
            descriptors.insert(
                made.fd.to_string(),
                json!({
                    "order": made.order, "kind": text(&made.kind), "path": some(&made.path), "absolute": some(&made.absolute),
                    "renamed": names, "flags": made.flags, "mode": made.mode, "now": now,
                    "from": (made.source >= 0).then_some(made.source),
                }),
            );
        }
        let differences: Vec<Value> =
            history.differences.iter().map(|d| json!([text(&d.object), text(&d.text)])).collect();
        members.push(json!({
            "pid": process.pid, "parent": process.ppid, "program": text(&process.exe), "descriptors": descriptors,
            "compared": history.compared, "differences": differences,
        }));
    }
    Ok(json!({ "members": members }))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn some(bytes: &[u8]) -> Option<String> {
    (!bytes.is_empty()).then(|| text(bytes))
}
