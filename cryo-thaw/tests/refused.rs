//! Sets that are refused by name before anything is started.

#![allow(clippy::unwrap_used)] // also outside of test functions

use std::path::Path;
use std::process::Command;

use cryo_format::header::{EM_X86_64, Header};
use cryo_format::prim::Raw;
use cryo_format::section::credentials::Credentials;
use cryo_format::section::link::Link;
use cryo_format::section::process::Process;
use cryo_format::write::Writer;
use cryo_format::{Profile, set};

/// A set of nothing but processes of these pids.
fn processes(name: &Path, pids: &[u64]) {
    let header = |profile| Header::new(profile, EM_X86_64, 12, Raw([profile as u8; 16]));
    let start = |profile| Writer::new(Vec::new(), &header(profile)).unwrap();
    let (frore, frore_root) = start(Profile::Frore).finish().unwrap();
    let set = Raw([1; 16]);
    let mut w = Writer::new(Vec::new(), &Header { set, ..header(Profile::Frost) }).unwrap();
    for (owner, pid) in (1..).zip(pids) {
        w.section(owner, &Process { pid: *pid, ..Process::default() }).unwrap();
        w.section(owner, &Credentials::default()).unwrap();
    }
    let (frost, frost_root) = w.finish().unwrap();
    let mut w = Writer::new(Vec::new(), &Header { set, ..header(Profile::Freeze) }).unwrap();
    w.section(0, &Link { frore_set: header(Profile::Frore).set, frore_root, frost_root }).unwrap();
    let (freeze, _) = w.finish().unwrap();
    for ((_, path), bytes) in set::paths(name).iter().zip([frore, frost, freeze]) {
        std::fs::write(path, bytes).unwrap();
    }
}

#[test]
fn a_set_without_a_process() {
    let dir = tempfile::tempdir().unwrap();
    processes(&dir.path().join("set"), &[]);
    let out = Command::new(env!("CARGO_BIN_EXE_cryo-thaw")).arg(dir.path().join("set.freeze")).output().unwrap();
    assert_eq!(out.status.code(), Some(125));
    let said = String::from_utf8(out.stderr).unwrap();
    assert!(said.contains("holds no process"), "{said}");
}
