//! spec/cryo.ksy, compiled and run in Python, against this crate: every field of every file, and the same files refused.
//!
//! Fetches the compiler and the runtime into target/ksy, once (spec/ksy/setup.sh).

#![allow(clippy::unwrap_used, clippy::expect_used)] // also outside of test functions

mod common;

#[path = "common/synth.rs"]
mod synth;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::chance::{Chance, every_section, generate};
use common::{Random, small_set};
use cryo_format::Profile;
use cryo_format::dump::FileDump;
use cryo_format::rules::Rule;
use cryo_format::write::Writer;

#[path = "common/vectors.rs"]
mod vectors;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Compiles the .ksy file; gives the directory for PYTHONPATH. `timeout` (coreutils) keeps a dead network from hanging the test.
fn setup() -> PathBuf {
    static ONCE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _one_at_a_time = ONCE.lock();
    let dir = root().join("target/ksy");
    let done = Command::new("timeout").arg("300").arg(root().join("spec/ksy/setup.sh")).arg(&dir).output().unwrap();
    assert!(done.status.success(), "spec/ksy/setup.sh: {}", String::from_utf8_lossy(&done.stderr));
    dir.join("python")
}

fn check(python: &Path, arg: &str, files: &[PathBuf]) -> Output {
    let script = root().join("spec/ksy/check.py");
    let mut cmd = Command::new("timeout");
    cmd.args(["300", "python3"]).arg(script).arg(arg).args(files);
    cmd.env("PYTHONPATH", python).env("PYTHONDONTWRITEBYTECODE", "1").output().unwrap()
}

/// Every image below `dir`.
fn images(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            images(&path, found);
        } else if path.extension().is_some_and(|x| ["freeze", "frore", "frost"].iter().any(|p| x == *p)) {
            found.push(path);
        }
    }
}

#[test]
fn the_two_readers_agree() {
    let python = setup();
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    small_set().store(&at("small"));
    let [frore, frost, freeze] = synth::good_set().build();
    for (name, bytes) in [("synth.frore", frore), ("synth.frost", frost), ("synth.freeze", freeze)] {
        std::fs::write(at(name), bytes).unwrap();
    }
    let mut compressed = synth::good_set();
    compressed.compress(synth::zstd_frame(6, 8192, 8192));
    std::fs::write(at("compressed.freeze"), &compressed.build()[2]).unwrap();
    every_kind(dir.path());
    let mut fixtures = Vec::new();
    images(&root().join("fixtures"), &mut fixtures);
    for (i, path) in fixtures.iter().enumerate() {
        std::fs::copy(path, at(&format!("{i}-{}", path.file_name().unwrap().display()))).unwrap();
    }

    let mut files = Vec::new();
    images(dir.path(), &mut files);
    for file in &files {
        let dump = FileDump::read(std::fs::File::open(file).unwrap(), file.display().to_string()).unwrap();
        let json = serde_json::to_vec(&dump).unwrap();
        std::fs::write(file.with_added_extension("json"), json).unwrap();
    }
    let done = check(&python, "--json", &files);
    let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
}

/// Files that together hold many arbitrary sections of every kind.
fn every_kind(dir: &Path) {
    let mut random = Random::new();
    for round in 0..20 {
        for profile in Profile::ALL {
            let mut w = Writer::new(Vec::new(), &common::header(profile)).unwrap();
            for (i, info) in every_section().enumerate().filter(|(_, info)| info.profile == profile) {
                let words: Vec<u64> = (0..200).map(|_| random.word()).collect();
                w.any(i as u64 + 1, &generate(info, &mut Chance::new(&words))).unwrap();
            }
            std::fs::write(dir.join(format!("any{round}.{profile}")), w.finish().unwrap().0).unwrap();
        }
    }
}

#[test]
fn what_one_refuses_the_other_refuses() {
    let python = setup();
    let dir = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    let mut ours = Vec::new();
    let mut add = |name: String, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        ours.push(FileDump::read(bytes, "img").err().map(|e| e.to_string()));
        files.push(path);
    };
    let changes = Rule::ALL.iter().map(|r| (*r, None)).chain(vectors::variants().iter().map(|v| (v.0, Some(v.1))));
    for (i, (rule, change)) in changes.enumerate() {
        let mut set = synth::good_set();
        match change {
            Some(change) => change(&mut set),
            None => vectors::break_rule(rule, &mut set),
        }
        for (file, bytes) in set.build().iter().enumerate() {
            add(format!("{i}-rule{}-{file}", rule.0), bytes);
        }
    }
    // Cut and flipped here and there.
    let whole = synth::good_set().build();
    for (file, bytes) in whole.iter().enumerate() {
        for at in (0..bytes.len()).step_by(37) {
            add(format!("cut{at}-{file}"), &bytes[..at]);
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            add(format!("flip{at}-{file}"), &flipped);
        }
    }
    let done = check(&python, "--verdict", &files);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let said = String::from_utf8(done.stdout).unwrap();
    assert_eq!(said.lines().count(), files.len());
    for ((line, ours), file) in said.lines().zip(&ours).zip(&files) {
        assert_eq!(line.starts_with("refused"), ours.is_some(), "{}: {line}; the crate says {ours:?}", file.display());
    }
}
