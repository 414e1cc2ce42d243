//! What every command prints with --format json is what `cryo-inspect schema` says of it, and nothing besides.

#![allow(clippy::unwrap_used, clippy::panic)] // clippy knows only functions marked as tests

mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{bare, i386, inspect, set, stdout};
use serde_json::Value;

/// Commands with words that make them say something; IMG is the image, OTHER a second one.
const COMMANDS: &[&str] = &[
    "dump IMG",
    "verify IMG",
    "info IMG",
    "map IMG",
    "regs IMG",
    "regs IMG --lanes f64",
    "syscall IMG",
    "fds IMG",
    "signals IMG",
    "timers IMG",
    "tree IMG",
    "threads IMG",
    "env IMG",
    "env IMG --show-secrets",
    "auxv IMG",
    "notes IMG",
    "query IMG descriptors",
    "diff IMG OTHER",
    "diff IMG OTHER --bytes",
    "diff OTHER IMG --show-unchanged",
    "check IMG",
    "stats IMG",
    "hexdump IMG $rsp+64",
    "hexdump IMG [stack]+64 --as u32",
    "hexdump IMG [stack]+64 --as f64",
    "hexdump IMG $rsp+64 --as ptr",
    "hexdump IMG $rsp --as all",
    "telescope IMG",
    "bt IMG",
    "disas IMG",
    "disas IMG [vdso] -n 4",
    "symbols IMG",
    "symbols IMG gettime",
    "strings IMG",
    "search IMG --regex [a-z]{4}",
];

/// Runs it, and gives what it printed, if it could look at the image.
fn run(dir: &Path, words: &str, image: &str, other: &str) -> Option<Value> {
    let words = words.split(' ').map(|w| match w {
        "IMG" => image,
        "OTHER" => other,
        word => word,
    });
    let mut command = Command::new(env!("CARGO_BIN_EXE_cryo-inspect"));
    let done =
        command.args(words).args(["--format", "json"]).current_dir(dir).env("CRYO_NO_FILES", "1").output().unwrap();
    // 2: it has no process, or no pages, and says so.
    (done.status.code() != Some(2)).then(|| serde_json::from_slice(&done.stdout).unwrap())
}

fn schema(command: &str) -> Value {
    serde_json::from_str(&stdout(&inspect(Path::new("/"), &["schema", command], b""), 0)).unwrap()
}

#[test]
fn every_output_is_what_its_schema_says() {
    let dir = tempfile::tempdir().unwrap();
    let v1 = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures/v1");
    let mut images: Vec<String> =
        ["smallest", "refer", "rich"].map(|name| v1.join(format!("{name}.freeze")).display().to_string()).into();
    set().store(&dir.path().join("img"));
    images.push("img.freeze".to_owned());
    images.push("img.frost".to_owned());
    std::fs::write(dir.path().join("i386.freeze"), i386()).unwrap();
    images.push("i386.freeze".to_owned());
    for (i, bytes) in bare().into_iter().enumerate() {
        let profile = cryo_format::dump::FileDump::read(&bytes[..], "").unwrap().header.profile;
        std::fs::write(dir.path().join(format!("bare{i}.{profile}")), bytes).unwrap();
        images.push(format!("bare{i}.{profile}"));
    }
    let mut said = BTreeSet::new();
    for words in COMMANDS {
        let name = words.split(' ').next().unwrap();
        let schema = schema(name);
        for image in &images {
            // Sets with nothing in a section are for what shows sections.
            if image.starts_with("bare") && !["dump", "regs", "fds", "signals", "timers"].contains(&name) {
                continue;
            }
            let Some(printed) = run(dir.path(), words, image, &images[0]) else { continue };
            if let Err(wrong) = (Checker { root: &schema }).check(&schema, &printed, true) {
                panic!("{words} of {image}: {wrong}");
            }
            said.insert(name);
        }
    }
    let schemas: BTreeSet<&str> = cryo_inspect::schema::ALL.iter().map(|(name, _)| *name).collect();
    assert_eq!(said, schemas);
}

/// Whoever takes --format has a schema.
#[test]
fn no_command_is_without_a_schema() {
    let help = stdout(&inspect(Path::new("/"), &["--help"], b""), 0);
    let (_, list) = help.split_once("Commands:\n").unwrap();
    let list = list.split("\n\n").next().unwrap().lines().filter(|l| l.starts_with("  ") && !l.starts_with("   "));
    let commands: Vec<&str> = list.filter_map(|l| l.split_whitespace().next()).filter(|c| *c != "help").collect();
    assert!(commands.len() > 30, "{commands:?}");
    for command in commands {
        let takes = stdout(&inspect(Path::new("/"), &[command, "--help"], b""), 0).contains("--format <FORMAT>");
        assert_eq!(takes, cryo_inspect::schema::of(command).is_some(), "{command}");
    }
    // All in one: each definition that is referred to is there.
    let all = cryo_inspect::schema::all();
    let text = all.to_string();
    for reference in text.split("\"#/$defs/").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(all["$defs"].get(reference).is_some(), "{reference}");
    }
}

/// A check that could not fail would say nothing.
#[test]
fn what_is_not_told_is_an_error() {
    let schema = schema("notes");
    let check = |text: &str| (Checker { root: &schema }).check(&schema, &serde_json::from_str(text).unwrap(), true);
    check(r#"[{"object": "fd 3", "note": "left out"}]"#).unwrap();
    assert!(check(r#"[{"object": "fd 3", "note": "left out", "new": 1}]"#).unwrap_err().contains("new"));
    assert!(check(r#"[{"object": "fd 3"}]"#).unwrap_err().contains("note"));
    assert!(check(r#"[{"object": 3, "note": ""}]"#).is_err());
    assert!(check("{}").is_err());
}

/// JSON Schema as far as ours go: a keyword that is not here is an error. Members that are not told are errors, too, though a schema lets them be.
struct Checker<'a> {
    root: &'a Value,
}

impl Checker<'_> {
    fn check(&self, schema: &Value, value: &Value, strict: bool) -> Result<(), String> {
        let Value::Object(schema) = schema else {
            return if *schema == Value::Bool(true) { Ok(()) } else { Err("nothing may be here".to_owned()) };
        };
        let all = |schemas: &Value, strict| -> Vec<Result<(), String>> {
            schemas.as_array().unwrap().iter().map(|s| self.check(s, value, strict)).collect()
        };
        let wrong = |what: String| Err(format!("{what}: {}", value.to_string().chars().take(200).collect::<String>()));
        for (keyword, asked) in schema {
            match keyword.as_str() {
                "$ref" => {
                    let name = asked.as_str().unwrap().strip_prefix("#/$defs/").unwrap();
                    self.check(&self.root["$defs"][name], value, strict).map_err(|e| format!("{name}: {e}"))?;
                }
                "type" => {
                    let is = |name: &Value| match name.as_str().unwrap() {
                        "null" => value.is_null(),
                        "boolean" => value.is_boolean(),
                        "string" => value.is_string(),
                        "integer" => value.is_u64() || value.is_i64(),
                        "number" => value.is_number(),
                        "array" => value.is_array(),
                        "object" => value.is_object(),
                        other => panic!("type {other}"),
                    };
                    if !asked.as_array().map_or_else(|| is(asked), |types| types.iter().any(is)) {
                        return wrong(format!("not {asked}"));
                    }
                }
                "required" => {
                    for name in asked.as_array().unwrap() {
                        if value.is_object() && value.get(name.as_str().unwrap()).is_none() {
                            return wrong(format!("{name} is missing"));
                        }
                    }
                }
                "items" => {
                    for item in value.as_array().into_iter().flatten() {
                        self.check(asked, item, true)?;
                    }
                }
                "minItems" => assert!(value.as_array().is_none_or(|a| a.len() as u64 >= asked.as_u64().unwrap())),
                "maxItems" => assert!(value.as_array().is_none_or(|a| a.len() as u64 <= asked.as_u64().unwrap())),
                "const" if value != asked => return wrong(format!("not {asked}")),
                "enum" if !asked.as_array().unwrap().contains(value) => return wrong(format!("none of {asked}")),
                "minimum" if value.as_f64().is_some_and(|n| n < asked.as_f64().unwrap()) => {
                    return wrong(format!("less than {asked}"));
                }
                "maximum" if value.as_f64().is_some_and(|n| n > asked.as_f64().unwrap()) => {
                    return wrong(format!("more than {asked}"));
                }
                "pattern" => {
                    let pattern = regex::bytes::Regex::new(asked.as_str().unwrap()).unwrap();
                    if value.as_str().is_some_and(|text| !pattern.is_match(text.as_bytes())) {
                        return wrong(format!("not {asked}"));
                    }
                }
                "anyOf" | "oneOf" => {
                    let answers = all(asked, strict);
                    if answers.iter().all(Result::is_err) {
                        let why: Vec<String> = answers.into_iter().filter_map(Result::err).collect();
                        return wrong(format!("none of: {}", why.join(" / ")));
                    }
                }
                "allOf" => all(asked, false).into_iter().collect::<Result<(), _>>()?,
                "if" => {
                    if self.check(asked, value, false).is_ok() {
                        self.check(&schema["then"], value, false)?;
                    }
                }
                // Said elsewhere, or kept.
                "$schema"
                | "$defs"
                | "title"
                | "description"
                | "format"
                | "default"
                | "then"
                | "properties"
                | "additionalProperties"
                | "const"
                | "enum"
                | "minimum"
                | "maximum" => {}
                other => panic!("the keyword {other} is not known here"),
            }
        }
        let Value::Object(members) = value else { return Ok(()) };
        let told = schema.get("properties").and_then(Value::as_object);
        for (name, member) in members {
            match (told.and_then(|t| t.get(name)), schema.get("additionalProperties")) {
                (Some(schema), _) | (None, Some(schema)) => {
                    self.check(schema, member, true).map_err(|e| format!("{name}: {e}"))?;
                }
                (None, None) if strict && told.is_some() => return wrong(format!("{name} is not told")),
                (None, None) => {}
            }
        }
        Ok(())
    }
}
