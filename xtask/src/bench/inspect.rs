//! What `cryo-inspect` takes for large images, beside what reading the same bytes once takes.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::measure::{Bench, path};

/// A command over images that are made for it.
struct Row {
    name: &'static str,
    /// Kind and MiB of subject.c; of a pair, the second is the same process with one page of a hundred changed.
    subject: (&'static str, &'static str),
    pair: bool,
    words: &'static [&'static str],
    /// Exit status.
    status: i64,
    aim: Aim,
}

#[derive(Clone, Copy)]
enum Aim {
    /// It is what another row is compared with.
    None,
    /// Milliseconds, at most.
    Ms(f64),
    /// Gigabytes in a second, at least.
    Speed(f64),
    /// So many times what reading the images takes, at most.
    Times(f64),
    /// The peak of memory is not this many times that of another row.
    Peak(f64, &'static str),
}

const ROWS: &[Row] = &[
    Row {
        name: "info, 10 GiB untouched",
        subject: ("untouched", "10240"),
        pair: false,
        words: &["info"],
        status: 0,
        aim: Aim::Ms(10.0),
    },
    Row {
        name: "search, 1 GiB",
        subject: ("random", "1024"),
        pair: false,
        words: &["search", "--text", "nowhere to be found"],
        status: 1,
        aim: Aim::Speed(1.0),
    },
    Row {
        name: "stats, 1 GiB",
        subject: ("random", "1024"),
        pair: false,
        words: &["stats"],
        status: 0,
        aim: Aim::Speed(1.0),
    },
    Row {
        name: "diff, 2 x 64 MiB, 1 % changed",
        subject: ("random", "64"),
        pair: true,
        words: &["diff"],
        status: 1,
        aim: Aim::None,
    },
    Row {
        name: "diff, 2 x 1 GiB, 1 % changed",
        subject: ("random", "1024"),
        pair: true,
        words: &["diff"],
        status: 1,
        aim: Aim::Times(1.5),
    },
    Row {
        name: "diff, 2 x 1 GiB, its memory",
        subject: ("random", "1024"),
        pair: true,
        words: &["diff"],
        status: 1,
        aim: Aim::Peak(1.5, "diff, 2 x 64 MiB, 1 % changed"),
    },
];

/// What came of a row.
pub struct Done {
    name: &'static str,
    ms: f64,
    bytes: u64,
    read_ms: f64,
    peak_kib: u64,
    aim: Aim,
}

pub const HEAD: &[&str] = &["cryo-inspect", "ms", "GB/s", "/ reading", "peak KiB", "aimed at", "met"];

/// All rows with this in their name.
pub fn rows(bench: &Bench, rounds: usize, only: &str) -> Result<Vec<Done>> {
    let mut done: Vec<Done> = Vec::new();
    for row in ROWS.iter().filter(|row| row.name.contains(only)) {
        eprintln!("{} ...", row.name);
        done.push(measure(bench, row, rounds).context(row.name)?);
    }
    Ok(done)
}

fn measure(bench: &Bench, row: &Row, rounds: usize) -> Result<Done> {
    let dir = tempfile::tempdir_in(bench.dir())?;
    let images = images(bench, row, dir.path())?;
    let files: Vec<PathBuf> = images.iter().map(|image| image.with_extension("freeze")).collect();
    let bytes = files.iter().map(|file| Ok(fs::metadata(file)?.len())).sum::<Result<u64>>()?;
    let (command, rest) = row.words.split_first().context("no command")?;
    let names = images.iter().map(|image| path(image)).collect::<Result<Vec<_>>>()?;
    let (mut times, mut reads, mut peak_kib) = (Vec::new(), Vec::new(), 0);
    for round in 0..=rounds {
        let mut cmd = Command::new(bench.program("cryo-inspect"));
        let ran = bench.timed(cmd.arg(command).args(&names).args(rest), row.status)?;
        let mut read = Command::new("sh");
        let read_ms = bench.timed(read.args(["-c", "exec cat \"$@\" >/dev/null", "cat"]).args(&files), 0)?.wall_ms;
        peak_kib = peak_kib.max(ran.peak_kib);
        // One is before those that count.
        if round > 0 {
            times.push(ran.wall_ms);
            reads.push(read_ms);
        }
    }
    Ok(Done { name: row.name, ms: median(times), bytes, read_ms: median(reads), peak_kib, aim: row.aim })
}

fn images(bench: &Bench, row: &Row, dir: &Path) -> Result<Vec<PathBuf>> {
    let (kind, mib) = row.subject;
    let subject = bench.subject(kind, mib)?;
    let pid = subject.pid().to_string();
    let [a, b] = ["a", "b"].map(|name| dir.join(name));
    bench.tool("cryo-freeze", &[&pid, "-o", path(&a)?, "--leave-running"])?;
    if !row.pair {
        return Ok(vec![a]);
    }
    change(subject.pid())?;
    bench.tool("cryo-freeze", &[&pid, "-o", path(&b)?, "--leave-running"])?;
    Ok(vec![a, b])
}

/// A byte in one of a hundred pages of the largest mapping that can be written.
fn change(pid: u32) -> Result<()> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let range = |line: &str| {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        let hex = |digits| u64::from_str_radix(digits, 16).ok();
        rest.starts_with("rw").then_some((hex(start)?, hex(end)?))
    };
    let (start, end) = maps.lines().filter_map(range).max_by_key(|(a, b)| b - a).context("nothing to write to")?;
    let memory = File::options().read(true).write(true).open(format!("/proc/{pid}/mem"))?;
    for at in (start..end).step_by(100 * 4096) {
        let mut byte = [0];
        memory.read_exact_at(&mut byte, at + 123)?;
        memory.write_all_at(&[!byte[0]], at + 123)?;
    }
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

impl Done {
    fn speed(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.ms
    }

    /// What is aimed at, in words, and whether it is met.
    fn aim(&self, all: &[Self]) -> (String, bool) {
        match self.aim {
            Aim::None => ("-".to_owned(), true),
            Aim::Ms(most) => (format!("< {most} ms"), self.ms < most),
            Aim::Speed(least) => (format!("> {least} GB/s"), self.speed() > least),
            Aim::Times(most) => (format!("< {most} x reading"), self.ms < most * self.read_ms),
            Aim::Peak(most, other) => {
                let other = all.iter().find(|d| d.name == other).map_or(f64::NAN, |d| d.peak_kib as f64);
                (format!("< {most} x peak of 64 MiB"), (self.peak_kib as f64) < most * other)
            }
        }
    }

    pub fn cells(&self, all: &[Self]) -> Vec<String> {
        let (aim, met) = self.aim(all);
        vec![
            self.name.to_owned(),
            format!("{:.1}", self.ms),
            format!("{:.2}", self.speed()),
            format!("{:.2}", self.ms / self.read_ms),
            self.peak_kib.to_string(),
            aim,
            if met { "yes" } else { "no" }.to_owned(),
        ]
    }

    pub fn json(&self, all: &[Self]) -> Value {
        let (aim, met) = self.aim(all);
        json!({
            "name": self.name, "ms": self.ms, "bytes": self.bytes, "read_ms": self.read_ms, "peak_kib": self.peak_kib,
            "aim": aim, "met": met,
        })
    }
}
