//! Copies of a program of 100 MiB, and of a family, that are held in memory (`cryo-thaw --hold`): how soon one runs, and how much memory many have.

use anyhow::{Context, Result};

use super::measure::{Bench, median, path, pss_kib};
use super::subject;

struct Row {
    name: &'static str,
    /// Kind and number of subject.c.
    subject: (&'static str, &'static str),
    /// So many copies are made in the end.
    copies: u64,
    /// In how many milliseconds one is to run, and how much memory all are to have in MiB.
    aims: [&'static str; 2],
}

const ROWS: &[Row] = &[
    Row { name: "templates, 100 MiB", subject: ("random", "100"), copies: 100, aims: ["< 3", "< 1024"] },
    Row { name: "templates, 16 children x 8 MiB", subject: ("large-children", "16"), copies: 5, aims: ["", ""] },
];

pub const HEAD: &[&str] = &[
    "",
    "thaw ms",
    "hold ms",
    "copy ms",
    "aimed at",
    "copies",
    "their Pss MiB",
    "aimed at",
    "with their template MiB",
];

/// Measures those with `only` in their name: cells of a table.
pub fn rows(bench: &Bench, rounds: usize, only: &str) -> Result<Vec<Vec<String>>> {
    ROWS.iter().filter(|row| row.name.contains(only)).map(|row| measure(bench, rounds, row)).collect()
}

fn measure(bench: &Bench, rounds: usize, row: &Row) -> Result<Vec<String>> {
    eprintln!("{} ...", row.name);
    let (kind, count) = row.subject;
    let mut subject = bench.subject(kind, count)?;
    let ice = tempfile::tempdir_in(bench.dir())?;
    let image = ice.path().join("ice");
    let frozen = bench.tool("cryo-freeze", &[&subject.pid().to_string(), "-o", path(&image)?])?;
    subject.wait_for_end()?;
    let image = image.with_extension("freeze");
    let started = |args: &[&str]| -> Result<(u32, f64)> {
        let started = bench.tool("cryo-thaw", args)?;
        let pid = started.stdout.trim().parse().with_context(|| format!("it printed {:?}", started.stdout))?;
        let awake = subject.wait_for_gap(frozen.end, started.start)?;
        Ok((pid, (awake.end - started.start) as f64 / 1e6))
    };
    let mut thaws = Vec::new();
    for _ in 0..=rounds {
        let (pid, ms) = started(&[path(&image)?, "--detach"])?;
        subject::end(pid);
        thaws.push(ms);
    }
    let held = bench.tool("cryo-thaw", &[path(&image)?, "--hold"])?;
    let template = held.stdout.trim();
    let copies = copies(template, rounds, row.copies, started);
    let list = bench.tool("cryo-thaw", &["--templates"])?;
    let host =
        list.stdout.lines().find_map(|line| line.strip_prefix(template)?.split_whitespace().next()?.parse().ok());
    let all = copies.map(|Copies { times, pids }| {
        let pss: u64 = pids.iter().copied().map(pss_kib).sum();
        let whole = pss + host.map_or(0, pss_kib);
        pids.into_iter().for_each(subject::end);
        (times, pss, whole)
    });
    bench.tool("cryo-thaw", &["--end", template])?;
    let (mut times, pss, whole) = all?;
    // The first of each does not count.
    Ok(vec![
        row.name.to_owned(),
        format!("{:.1}", median(thaws.split_off(1))),
        format!("{:.1}", held.wall_ms),
        format!("{:.2}", median(times.split_off(1))),
        row.aims[0].to_owned(),
        row.copies.to_string(),
        (pss / 1024).to_string(),
        row.aims[1].to_owned(),
        (whole / 1024).to_string(),
    ])
}

/// How long each of the first took, in milliseconds, and the pids of many.
struct Copies {
    times: Vec<f64>,
    pids: Vec<u32>,
}

fn copies(template: &str, rounds: usize, many: u64, started: impl Fn(&[&str]) -> Result<(u32, f64)>) -> Result<Copies> {
    let mut times = Vec::new();
    for _ in 0..=rounds {
        let (pid, ms) = started(&["--from", template, "--detach"])?;
        subject::end(pid);
        times.push(ms);
    }
    let mut pids = Vec::new();
    for _ in 0..many {
        match started(&["--from", template, "--detach"]) {
            Ok((pid, _)) => pids.push(pid),
            Err(e) => {
                pids.into_iter().for_each(subject::end);
                return Err(e);
            }
        }
    }
    Ok(Copies { times, pids })
}
