//! `dump`, on a set that has every section.

mod common;

use common::{bare, child, expect, i386, inspect, set, stdout};
use cryo_format::section::SECTIONS;

#[test]
fn a_set() {
    let dir = tempfile::tempdir().unwrap();
    set().store(&dir.path().join("img"));
    let text = stdout(&inspect(dir.path(), &["dump", "img.freeze"], b""), 0);
    expect("set.txt", &text);
    let wide: Vec<&str> = text.lines().filter(|l| l.chars().count() > 120).collect();
    assert!(wide.is_empty(), "{wide:?}");
    assert!(!text.contains('\x1b'), "no colours, and no escape sequence out of the image");
}

#[test]
fn a_set_from_a_pipe() {
    let dir = tempfile::tempdir().unwrap();
    let files = set();
    files.store(&dir.path().join("-"));
    let text = stdout(&inspect(dir.path(), &["dump", "-"], &files.piped()), 0);
    let from_files = stdout(&inspect(dir.path(), &["dump", "./-.freeze"], b""), 0);
    // The names of the files are all that differs.
    let tail = |text: &str| text.lines().skip(5).collect::<Vec<_>>().join("\n");
    assert_eq!(tail(&text), tail(&from_files));
    assert!(text.contains("-: .frost"), "{text}");
}

/// Each kind that the set has by itself, in JSON lines and on a terminal; one that is not there is nothing.
#[test]
fn sections_of_one_kind() {
    let dir = tempfile::tempdir().unwrap();
    set().store(&dir.path().join("img"));
    let lines = |kind: &str, more: &[&str]| -> Vec<serde_json::Value> {
        let args = [&["dump", "img", "--format", "jsonl", "--kind", kind][..], more].concat();
        stdout(&inspect(dir.path(), &args, b""), 0).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    for info in SECTIONS {
        let kind = info.kind.to_string();
        let found = lines(&kind.to_lowercase(), &[]);
        assert!(found.iter().all(|line| line["kind"] == kind), "{kind}: {found:?}");
        let text = stdout(&inspect(dir.path(), &["dump", "img", "--kind", &kind], b""), 0);
        assert_eq!(text.is_empty(), found.is_empty(), "{kind}: {text}");
    }
    let (all, pid) = (lines("THRD", &[]), lines("PROC", &[])[0]["payload"]["pid"].to_string());
    assert!(all.len() > 1 && lines("PROC", &["--pid", &pid]).len() == 1, "{all:?}");
    let text =
        stdout(&inspect(dir.path(), &["dump", "img", "--kind", "PROC", "--kind", "THRD", "--pid", &pid], b""), 0);
    assert!(text.starts_with(&format!("process {pid} (local id ")) && text.contains("\nthread "), "{text}");
    let wrong = inspect(dir.path(), &["dump", "img", "--kind", "NONE"], b"");
    assert_eq!(wrong.status.code(), Some(2), "{wrong:?}");
}

/// The freezer was killed between the last renames of a replacement: the files of the set have not all got their names yet (spec/10-linking.md).
#[test]
fn a_set_whose_replacement_was_cut_short() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    set().store(&at("img"));
    let whole = stdout(&inspect(dir.path(), &["dump", "img"], b""), 0);
    let json = stdout(&inspect(dir.path(), &["dump", "img", "--format", "json"], b""), 0);
    for file in ["img.frore", "img.frost"] {
        std::fs::rename(at(file), at(&format!("{file}.next"))).unwrap();
        std::fs::write(at(file), "of another set").unwrap();
    }
    // The names of the files are all that differs.
    let tail = |text: &str| text.lines().skip(5).collect::<Vec<_>>().join("\n");
    for name in ["img", "img.freeze"] {
        let text = stdout(&inspect(dir.path(), &["dump", name], b""), 0);
        assert_eq!(tail(&text), tail(&whole));
        assert!(text.contains("img.frore.next") && text.contains("img.frost.next"), "{text}");
        let cut = stdout(&inspect(dir.path(), &["dump", name, "--format", "json"], b""), 0);
        assert_eq!(cut.replace(".next", ""), json);
    }
}

#[test]
fn files_by_themselves() {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in ["frore", "frost", "freeze"].iter().zip(&set().0) {
        let file = format!("alone-{name}.{name}");
        std::fs::write(dir.path().join(&file), bytes).unwrap();
        expect(&format!("{name}.txt"), &stdout(&inspect(dir.path(), &["dump", &file], b""), 0));
    }
    std::fs::write(dir.path().join("i386.freeze"), i386()).unwrap();
    expect("i386.txt", &stdout(&inspect(dir.path(), &["dump", "i386.freeze"], b""), 0));
}

/// Whoever adds a section adds it to the set in common/mod.rs, and thereby to the expected output.
#[test]
fn every_section_is_in_the_images() {
    let kinds = |bytes: &[u8]| {
        let dump = cryo_format::dump::FileDump::read(bytes, "img").unwrap();
        dump.chunks.iter().map(|c| c.kind).collect::<Vec<_>>()
    };
    let all: Vec<_> = set().0.iter().chain([&i386(), &child()]).chain(&bare()).flat_map(|bytes| kinds(bytes)).collect();
    let missing: Vec<_> = SECTIONS.iter().filter(|info| !all.contains(&info.kind)).map(|info| info.name).collect();
    assert!(missing.is_empty(), "tests/common/mod.rs has no {missing:?}");
}

/// A section's printer is where its name says.
#[test]
fn every_section_has_a_printer_of_its_name() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/print");
    let missing: Vec<_> =
        SECTIONS.iter().filter(|i| !dir.join(format!("{}.rs", i.name)).is_file()).map(|i| i.name).collect();
    assert!(missing.is_empty(), "src/print/ has no {missing:?}");
}

/// People see the latest version and are told of the one in the file; programs see what is in the file.
#[test]
fn older_versions_of_sections() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/v1");
    let text = stdout(&inspect(&dir, &["dump", "smallest.frost"], b""), 0);
    assert!(text.contains("kernel state (version 1 of THRD)"), "{text}");
    assert!(text.contains("identity (version 1 of PROC)"), "{text}");
    assert!(!text.contains("limits (version"), "{text}");
    let json = stdout(&inspect(&dir, &["dump", "--format", "json", "smallest.frost"], b""), 0);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let thread = json["chunks"].as_array().unwrap().iter().find(|c| c["kind"] == "THRD").unwrap();
    assert_eq!(thread["version"], 1);
    assert!(thread["payload"]["tid"].is_u64());
    assert!(thread["payload"].get("dispatch_mode").is_none(), "{thread}");
}

#[test]
fn json() {
    let dir = tempfile::tempdir().unwrap();
    let files = set();
    files.store(&dir.path().join("img"));
    let parse = |args: &[&str], stdin: &[u8]| -> serde_json::Value {
        serde_json::from_str(&stdout(&inspect(dir.path(), args, stdin), 0)).unwrap()
    };
    let whole = parse(&["dump", "img.freeze", "--format", "json"], b"");
    for (profile, bytes) in ["frore", "frost", "freeze"].iter().zip(&files.0) {
        let name = format!("img.{profile}");
        let expected = cryo_format::dump::FileDump::read(&bytes[..], &name).unwrap();
        assert_eq!(whole[profile], serde_json::to_value(&expected).unwrap());
        let one = parse(&["dump", "-", "--format", "json"], bytes);
        assert_eq!(one["chunks"], whole[profile]["chunks"]);
    }
    let one = parse(&["dump", "img.frost", "--format", "json"], b"");
    assert_eq!(one, whole["frost"]);
    let piped = parse(&["dump", "-", "--format", "json"], &files.piped());
    assert_eq!(piped["freeze"]["chunks"], whole["freeze"]["chunks"]);
}

#[test]
fn colours_where_they_are_wanted() {
    let dir = tempfile::tempdir().unwrap();
    set().store(&dir.path().join("img"));
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_cryo-inspect"));
    command.current_dir(dir.path()).args(["dump", "img.freeze"]).env("CLICOLOR_FORCE", "1").env("TERM", "xterm");
    let text = stdout(&command.output().unwrap(), 0);
    assert!(text.contains("\x1b[1m"), "{text}");
    assert!(!text.contains("gone\x1b[31m"), "the image does not speak to the terminal: {text}");
}

/// Whoever closes the pipe has seen enough.
#[test]
fn a_reader_that_leaves() {
    use std::process::{Command, Stdio};
    let dir = tempfile::tempdir().unwrap();
    set().store(&dir.path().join("img"));
    let commands: [&[&str]; 8] = [
        &["dump", "img", "--format", "text"],
        &["dump", "img", "--format", "json"],
        &["map", "img", "--format", "table"],
        &["map", "img", "--format", "csv"],
        &["regs", "img", "--format", "jsonl"],
        &["strings", "img", "-n", "1", "--format", "csv"],
        &["search", "img", "--regex", ".", "--format", "json"],
        &["extract", "img", "401000+10"],
    ];
    for args in commands {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cryo-inspect"));
        command.current_dir(dir.path()).args(args);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let out = child.wait_with_output().unwrap();
        assert_eq!((out.status.code(), String::from_utf8_lossy(&out.stderr).as_ref()), (Some(0), ""), "{args:?}");
    }
}
