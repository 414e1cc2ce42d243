//! `cargo xtask ci`: what has to hold before a change lands.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use crate::{
    fixtures,
    run::{cargo, check, show},
    test,
};

const LIMIT: Duration = Duration::from_mins(20);

/// What stands in the summary when it did not fail.
type Step = fn() -> Result<&'static str>;

const OK: &str = "ok";

/// Every step is run, also after one that failed, so that one run shows everything there is to mend.
pub fn ci() -> Result<()> {
    let steps: [(&str, Step); 7] = [
        ("formatting", || step(&mut cargo(&["fmt", "--all", "--check"]))),
        ("lints", || {
            step(&mut cargo(&[
                "clippy",
                "--workspace",
                "--all-targets",
                "--locked",
                "--quiet",
                "--keep-going",
                "--",
                "-D",
                "warnings",
            ]))
        }),
        ("documentation", || {
            step(cargo(&["doc", "--workspace", "--no-deps", "--locked", "--quiet"]).env("RUSTDOCFLAGS", "-D warnings"))
        }),
        ("dependencies", dependencies),
        ("fixtures", || fixtures::check().map(|()| OK)),
        ("tests", || test::test(&[]).map(|()| OK)),
        ("hostile sets", || {
            step(&mut cargo(&["run", "-p", "hostile", "--locked", "--quiet", "--", "--seconds", "60"]))
        }),
    ];
    let mut lines = Vec::new();
    let mut failed = Vec::new();
    for (name, run) in steps {
        println!("\n== {name}");
        let start = Instant::now();
        let done = run();
        if let Err(e) = &done {
            // On stdout, in its place between the steps.
            println!("FAILED: {e:#}");
            failed.push(name);
        }
        lines.push(format!("{:4} s  {name}: {}", start.elapsed().as_secs(), done.unwrap_or("FAILED")));
    }
    println!("\n== summary\n{}", lines.join("\n"));
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

fn step(cmd: &mut Command) -> Result<&'static str> {
    show(cmd);
    check(cmd, LIMIT)?;
    Ok(OK)
}

/// Licenses, sources and versions of dependencies, as deny.toml says. Building cargo-deny takes longer than all other steps, so whether it
/// is there is up to the machine.
fn dependencies() -> Result<&'static str> {
    let there = cargo(&["deny", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !there.is_ok_and(|status| status.success()) {
        println!("NOT CHECKED, because cargo-deny is not here: cargo install --locked cargo-deny");
        return Ok("NOT CHECKED: no cargo-deny here");
    }
    step(&mut cargo(&["deny", "check", "licenses", "bans", "sources"]))
}
