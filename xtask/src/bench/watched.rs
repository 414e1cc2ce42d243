//! What a program takes under `overseer run`, beside itself alone and under strace, which is told to stop for the same calls.

use std::{
    io::Read,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use overseer::watch::calls;

use super::measure::median;
use crate::run::{bare, check, root};

const LIMIT: Duration = Duration::from_mins(5);

/// A program and its arguments; `{}` is where `watched.c` was built, `{kmod}` the sources of the kernel module.
struct Row {
    name: &'static str,
    words: &'static [&'static str],
}

const ROWS: &[Row] = &[
    Row { name: "compute loop", words: &["{}/watched", "compute"] },
    Row { name: "compile, 50 lines of C", words: &["gcc", "-O2", "-c", "{}/watched.c", "-o", "{}/watched.o"] },
    Row { name: "compile, 480 lines of C", words: &["gcc", "-O2", "-c", "{kmod}/frore.c", "-o", "{}/frore.o"] },
    Row { name: "20,000 x open, close", words: &["{}/watched", "open"] },
    Row {
        name: "1,000 x /bin/true",
        words: &["sh", "-c", "i=0; while [ $i -lt 1000 ]; do /bin/true; i=$((i+1)); done"],
    },
    Row { name: "configure script", words: &["sh", "-c", "cd {} && ./configure -q"] },
];

/// What a translated getpid takes.
const GETPID: &str = "getpid, translated, µs";

pub const HEAD: &[&str] = &["watched", "alone, ms", "overseer", "strace", "overseer / alone", "overseer / strace"];

/// Measures those with `only` in their name: cells of a table.
pub fn rows(tools: &Path, rounds: usize, only: &str) -> Result<Vec<Vec<String>>> {
    let dir = tempfile::Builder::new().prefix("cryo-bench-").tempdir_in("/dev/shm")?;
    let chosen: Vec<_> = ROWS.iter().filter(|row| row.name.contains(only)).collect();
    if chosen.is_empty() && !GETPID.contains(only) {
        return Ok(Vec::new());
    }
    let source = root().join("xtask/bench/watched.c");
    std::fs::copy(&source, dir.path().join("watched.c"))?;
    std::fs::copy(root().join("xtask/bench/configure.ac"), dir.path().join("configure.ac"))?;
    check(bare("autoconf").current_dir(&dir), LIMIT)?;
    check(bare("gcc").args(["-O1", "-o"]).arg(dir.path().join("watched")).arg(&source), LIMIT)?;
    let overseer = [tools.join("overseer").display().to_string(), "run".into(), "--".into()];
    let trace = format!("trace={}", calls::names().join(","));
    let strace = ["strace", "-f", "--seccomp-bpf", "-o", "/dev/null", "-e", &trace].map(str::to_owned);
    let mut table = Vec::new();
    for row in chosen {
        eprintln!("{} ...", row.name);
        let place = dir.path().display().to_string();
        let kmod = root().join("overseer-kmod").display().to_string();
        let words: Vec<String> =
            row.words.iter().map(|word| word.replace("{}", &place).replace("{kmod}", &kmod)).collect();
        let mut times = [Vec::new(), Vec::new(), Vec::new()];
        // In turn, so that what else the machine does falls on all of them; the first round does not count.
        for round in 0..=rounds {
            for (way, times) in [&[][..], &overseer, &strace].into_iter().zip(&mut times) {
                let all: Vec<&String> = way.iter().chain(&words).collect();
                let begin = Instant::now();
                let mut program = Command::new(all[0]);
                // Cargo's: more directories in which each program looks for each library.
                program.args(&all[1..]).env_remove("LD_LIBRARY_PATH");
                check(program.stdout(Stdio::null()).stderr(Stdio::null()), LIMIT)?;
                if round > 0 {
                    times.push(begin.elapsed().as_secs_f64() * 1e3);
                }
            }
        }
        table.push(cells(row.name, times, 0));
    }
    if GETPID.contains(only) {
        table.push(cells(GETPID, getpid(tools, dir.path(), rounds)?, 1));
    }
    Ok(table)
}

fn cells(name: &str, times: [Vec<f64>; 3], digits: usize) -> Vec<String> {
    let [alone, watched, traced] = times.map(median);
    let time = |time: f64| format!("{time:.digits$}");
    let ratio = |to: f64| format!("{:.2}", watched / to);
    vec![name.to_owned(), time(alone), time(watched), time(traced), ratio(alone), ratio(traced)]
}

/// Microseconds of one: alone, in a program that is continued with translated pids, and under strace that traces it.
fn getpid(tools: &Path, dir: &Path, rounds: usize) -> Result<[Vec<f64>; 3]> {
    eprintln!("{GETPID} ...");
    let program = || {
        let mut program = bare("./watched");
        program.arg("getpid").current_dir(dir);
        program
    };
    let mut original = program().stdout(Stdio::piped()).spawn()?;
    let mut ready = [0; 6];
    original.stdout.take().context("no stdout")?.read_exact(&mut ready)?;
    let mut freeze = bare(tools.join("cryo-freeze"));
    check(freeze.arg(original.id().to_string()).args(["-o", "asks"]).current_dir(dir).stdout(Stdio::null()), LIMIT)?;
    original.wait()?;
    std::fs::write(dir.join("go"), "")?;
    let mut overseer = bare(tools.join("overseer"));
    overseer.args(["resume", "asks.freeze", "--pid", "translate"]).current_dir(dir);
    let mut strace = bare("strace");
    strace
        .args(["-f", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=getpid", "./watched", "getpid"])
        .current_dir(dir);
    let mut ways = [program(), overseer, strace];
    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    for round in 0..=rounds {
        for (way, times) in ways.iter_mut().zip(&mut times) {
            let said = String::from_utf8(way.stdin(Stdio::null()).stderr(Stdio::null()).output()?.stdout)?;
            let time = said.lines().last().context("it said nothing")?.parse()?;
            if round > 0 {
                times.push(time);
            }
        }
    }
    Ok(times)
}
