//! `cargo xtask ci`: what has to hold before a change lands.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use crate::{
    fixtures,
    run::{cargo, check, show},
    test,
};

const LIMIT: Duration = Duration::from_mins(20);

type Step = fn() -> Result<()>;

/// Every step is run, also after one that failed, so that one run shows everything there is to mend.
pub fn ci() -> Result<()> {
    let steps: [(&str, Step); 6] = [
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
        ("fixtures", fixtures::check),
        ("tests", || test::test(&[])),
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
        lines.push(format!(
            "{:4} s  {name}: {}",
            start.elapsed().as_secs(),
            if done.is_ok() { "ok" } else { "FAILED" }
        ));
    }
    println!("\n== summary\n{}", lines.join("\n"));
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

fn step(cmd: &mut Command) -> Result<()> {
    show(cmd);
    check(cmd, LIMIT)
}
