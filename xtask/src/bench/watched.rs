//! What a program takes under `overseer run`, beside itself alone and under strace, which is told to stop for the same calls.

use std::{
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::Result;
use overseer::watch::calls;

use crate::run::{bare, check, root};

const LIMIT: Duration = Duration::from_mins(5);

/// A program and its arguments; `{}` is where `watched.c` was built.
struct Row {
    name: &'static str,
    words: &'static [&'static str],
}

const ROWS: &[Row] = &[
    Row { name: "compute loop", words: &["{}/watched", "compute"] },
    Row { name: "compile of one C file", words: &["gcc", "-O2", "-c", "{}/watched.c", "-o", "{}/watched.o"] },
    Row { name: "20,000 x open, close", words: &["{}/watched", "open"] },
    Row {
        name: "1,000 x /bin/true",
        words: &["sh", "-c", "i=0; while [ $i -lt 1000 ]; do /bin/true; i=$((i+1)); done"],
    },
];

pub const HEAD: &[&str] = &["watched", "alone, ms", "overseer", "strace", "overseer / alone", "overseer / strace"];

/// Measures those with `only` in their name: cells of a table.
pub fn rows(tools: &Path, rounds: usize, only: &str) -> Result<Vec<Vec<String>>> {
    let dir = tempfile::Builder::new().prefix("cryo-bench-").tempdir_in("/dev/shm")?;
    let chosen: Vec<_> = ROWS.iter().filter(|row| row.name.contains(only)).collect();
    if chosen.is_empty() {
        return Ok(Vec::new());
    }
    let source = root().join("xtask/bench/watched.c");
    std::fs::copy(&source, dir.path().join("watched.c"))?;
    check(bare("gcc").args(["-O1", "-o"]).arg(dir.path().join("watched")).arg(&source), LIMIT)?;
    let overseer = [tools.join("overseer").display().to_string(), "run".into(), "--".into()];
    let trace = format!("trace={}", calls::names().join(","));
    let strace = ["strace", "-f", "--seccomp-bpf", "-o", "/dev/null", "-e", &trace].map(str::to_owned);
    let mut table = Vec::new();
    for row in chosen {
        eprintln!("{} ...", row.name);
        let place = dir.path().display().to_string();
        let words: Vec<String> = row.words.iter().map(|word| word.replace("{}", &place)).collect();
        let mut times = [Vec::new(), Vec::new(), Vec::new()];
        // In turn, so that what else the machine does falls on all of them; the first round does not count.
        for round in 0..=rounds {
            for (way, times) in [&[][..], &overseer, &strace].into_iter().zip(&mut times) {
                let all: Vec<&String> = way.iter().chain(&words).collect();
                let begin = Instant::now();
                check(bare(all[0]).args(&all[1..]).stdout(Stdio::null()).stderr(Stdio::null()), LIMIT)?;
                if round > 0 {
                    times.push(begin.elapsed().as_secs_f64() * 1e3);
                }
            }
        }
        let [alone, watched, traced] = times.map(|mut times| {
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        });
        table.push(vec![
            row.name.to_owned(),
            format!("{alone:.0}"),
            format!("{watched:.0}"),
            format!("{traced:.0}"),
            format!("{:.2}", watched / alone),
            format!("{:.2}", watched / traced),
        ]);
    }
    Ok(table)
}
