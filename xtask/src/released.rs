//! `cargo xtask released`: what readers of former releases make of what came later. They are built from their commits, below target/released.

use std::{fs, process::Stdio, time::Duration};

use anyhow::Result;

use crate::run::{cargo, check, root, show};

/// The commit of each release of the format.
const RELEASES: &[(&str, &str)] = &[("format 1", "e5c4d8dfa3c374175c26c4926fa10065b0c14364")];

const LIMIT: Duration = Duration::from_mins(20);

/// Asks each of them.
pub fn released() -> Result<()> {
    for (name, commit) in RELEASES {
        let mut there = std::process::Command::new("git");
        there.args(["cat-file", "-e", &format!("{commit}^{{commit}}")]).current_dir(root()).stderr(Stdio::null());
        if !there.status().is_ok_and(|status| status.success()) {
            println!("NOT CHECKED: {name} ({commit}) is not in this clone's history: git fetch --unshallow");
            continue;
        }
        let dir = root().join("target/released").join(&commit[..12]);
        let sources = dir.join("src");
        if !sources.join("Cargo.toml").exists() {
            fs::create_dir_all(&sources)?;
            let mut unpack = std::process::Command::new("sh");
            unpack.args(["-c", "git archive \"$0\" | tar -x -C \"$1\"", commit]).arg(&sources).current_dir(root());
            check(&mut unpack, LIMIT)?;
        }
        let mut build = cargo(&["build", "--locked", "--quiet", "-p", "cryo-inspect", "-p", "cryo-thaw"]);
        build.current_dir(&sources).env("CARGO_TARGET_DIR", dir.join("target"));
        show(&build);
        check(&mut build, LIMIT)?;
        let mut test = cargo(&["test", "--locked", "--quiet", "-p", "hostile", "--test", "released"]);
        test.args(["--", "--ignored", "--nocapture"]).env("CRYO_RELEASED", &dir);
        show(&test);
        check(&mut test, LIMIT)?;
    }
    Ok(())
}
