//! `cargo xtask bench`: how long freezing and thawing take, beside what copying the same bytes takes, and looking at images ([`inspect`]).
//!
//! Everything is on tmpfs, in one run. The first touch of memory is slow in a virtual machine, so as much as a round needs is
//! touched before, and there is a round before the first that counts. What is reported is the median. To measure one more thing, add a row to [`ROWS`], and to
//! `xtask/bench/subject.c` the state, if it is a new one.

// Nanoseconds and bytes are shown with three digits.
#![allow(clippy::cast_precision_loss)]

mod inspect;
mod live;
mod measure;
mod subject;
mod templates;
mod watched;

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::{
    install::{Need, ensure},
    report::table,
    run::{cargo, check, root},
};
use measure::{Bench, Figures};

const NEEDS: &[Need] = &[
    Need { package: "gcc", proof: "/usr/bin/gcc", why: "compiles the program that is frozen" },
    Need { package: "autoconf", proof: "/usr/bin/autoconf", why: "a configure script" },
    Need { package: "strace", proof: "/usr/bin/strace", why: "what an overseer is compared with" },
    Need { package: "libc6-dev", proof: "/usr/lib/x86_64-linux-gnu/libc.a", why: "it is a static one" },
];

/// A process to measure.
struct Row {
    name: &'static str,
    /// Arguments of subject.c: kind and count.
    kind: &'static str,
    count: &'static str,
    linked: Linked,
}

/// A static program is what it says; a dynamic one brings the C library along in its image.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Linked {
    Static,
    Dynamic,
}

const fn row(name: &'static str, kind: &'static str, count: &'static str) -> Row {
    Row { name, kind, count, linked: Linked::Static }
}

const ROWS: &[Row] = &[
    row("tiny, static", "tiny", "0"),
    Row { name: "tiny, dynamic", kind: "tiny", count: "0", linked: Linked::Dynamic },
    row("64 MiB random", "random", "64"),
    row("1 GiB random", "random", "1024"),
    row("1 GiB, 90 % zero", "zero", "1024"),
    row("1 GiB untouched", "untouched", "1024"),
    row("64 threads", "threads", "64"),
    row("1,000 threads", "threads", "1000"),
    row("30,000 maps", "maps", "30000"),
    row("1,000 descriptors", "descriptors", "1000"),
    row("10,000 descriptors", "descriptors", "10000"),
    row("128 MiB random", "random", "128"),
    row("16 children x 8 MiB", "large-children", "16"),
    row("16 children of 1 GiB", "heirs", "16"),
    row("500 processes", "children", "499"),
    row("1,000 births a second", "births", "1000"),
];

const GIB: f64 = (1 << 30) as f64;

/// The figures of any row that was measured.
type Others<'a> = &'a dyn Fn(&str) -> Option<Figures>;

/// What is aimed at: a row, what, and whether its figures have it.
struct Aim {
    row: &'static str,
    text: &'static str,
    value: fn(&Figures, Others) -> Option<(f64, f64)>,
}

/// The value, and what it is to be below.
const AIMS: &[Aim] = &[
    Aim { row: "tiny, static", text: "freeze, ms", value: |f, _| Some((f.freeze_ms, 3.0)) },
    Aim { row: "tiny, static", text: "thaw, ms", value: |f, _| Some((f.thaw_ms, 3.0)) },
    Aim { row: "tiny, static", text: "stopped, ms", value: |f, _| Some((f.stopped_ms, 1.0)) },
    Aim { row: "1 GiB random", text: "freeze, CPU ms", value: |f, _| Some((f.freeze_cpu_ms, 500.0)) },
    Aim { row: "1 GiB random", text: "freeze / cp", value: |f, _| Some((f.freeze_ms / f.cp_ms, 1.3)) },
    Aim { row: "1 GiB random", text: "thaw / cp", value: |f, _| Some((f.thaw_ms / f.cp_ms, 1.3)) },
    Aim {
        row: "1 GiB, 90 % zero",
        text: "bytes / those of random",
        value: |f, of| Some((f.stored as f64 / of("1 GiB random")?.stored as f64, 0.105)),
    },
    Aim {
        row: "1 GiB, 90 % zero",
        text: "freeze / that of random",
        value: |f, of| Some((f.freeze_ms / of("1 GiB random")?.freeze_ms, 0.5)),
    },
    Aim {
        row: "1 GiB, 90 % zero",
        text: "thaw / that of random",
        value: |f, of| Some((f.thaw_ms / of("1 GiB random")?.thaw_ms, 0.5)),
    },
    Aim {
        row: "1 GiB random",
        text: "peak of the tools / that of 64 MiB",
        value: |f, of| Some((f.peak() as f64 / of("64 MiB random")?.peak() as f64, 1.1)),
    },
    Aim { row: "64 threads", text: "stopped, ms", value: |f, _| Some((f.stopped_ms, 5.0)) },
    Aim { row: "64 threads", text: "thaw, ms", value: |f, _| Some((f.thaw_ms, 8.0)) },
    Aim { row: "1,000 threads", text: "stopped, ms", value: |f, _| Some((f.stopped_ms, 60.0)) },
    Aim { row: "30,000 maps", text: "stopped / reading smaps", value: |f, _| Some((f.stopped_ms / f.smaps_ms, 3.0)) },
    Aim { row: "1,000 descriptors", text: "stopped, ms", value: |f, _| Some((f.stopped_ms, 20.0)) },
    Aim { row: "10,000 descriptors", text: "stopped, ms", value: |f, _| Some((f.stopped_ms, 100.0)) },
    Aim { row: "10,000 descriptors", text: "thaw, ms", value: |f, _| Some((f.thaw_ms, 400.0)) },
    Aim { row: "16 children x 8 MiB", text: "stopped, ms", value: |f, _| Some((f.stopped_ms, 15.0)) },
    Aim { row: "16 children x 8 MiB", text: "freeze, ms", value: |f, _| Some((f.freeze_ms, 60.0)) },
    Aim { row: "16 children x 8 MiB", text: "thaw, ms", value: |f, _| Some((f.thaw_ms, 40.0)) },
    Aim { row: "500 processes", text: "freeze and thaw, ms", value: |f, _| Some((f.freeze_ms + f.thaw_ms, 2000.0)) },
    Aim { row: "1,000 births a second", text: "stopped, ms", value: |f, _| Some((f.stopped_ms, 100.0)) },
    Aim { row: "16 children of 1 GiB", text: "stored, GiB", value: |f, _| Some((f.stored as f64 / GIB, 1.05)) },
    Aim {
        row: "16 children of 1 GiB",
        text: "in use (Pss), GiB",
        value: |f, _| Some((f.pss_kib as f64 * 1024.0 / GIB, 1.05)),
    },
];

/// Work for every processor, for as long as it lives.
struct Busy {
    over: Arc<AtomicBool>,
}

impl Busy {
    fn begin() -> Self {
        let over = Arc::new(AtomicBool::new(false));
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            let over = Arc::clone(&over);
            std::thread::spawn(move || while !over.load(Ordering::Relaxed) {});
        }
        Self { over }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// How to run and report.
#[derive(clap::Args)]
pub struct Args {
    /// How many rounds count; one more is run before them
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Only rows with this in their name
    #[arg(long, default_value = "")]
    only: String,
    /// While all processors have other work to do
    #[arg(long)]
    busy: bool,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Measures every row and prints the table.
pub fn bench(args: &Args) -> Result<()> {
    if args.format == Format::Text {
        ensure(NEEDS)?;
    }
    if args.rounds == 0 {
        bail!("--rounds 0 measures nothing");
    }
    let tools = [
        "build",
        "--release",
        "--locked",
        "--quiet",
        "--bin",
        "cryo-freeze",
        "--bin",
        "cryo-thaw",
        "--bin",
        "cryo-inspect",
        "--bin",
        "overseer",
    ];
    check(&mut cargo(&tools), Duration::from_mins(20))?;
    let _others = args.busy.then(Busy::begin);
    let load = fs::read_to_string("/proc/loadavg")?;
    let load = load.split(' ').next().unwrap_or("?");
    let bench = Bench::new(&root().join("target/release"))?;

    let mut done: Vec<(&Row, Result<Figures>)> = Vec::new();
    for row in ROWS.iter().filter(|r| r.name.contains(&args.only)) {
        eprintln!("{} ...", row.name);
        done.push((row, bench.row(row, args.rounds)));
    }
    let inspected = inspect::rows(&bench, args.rounds, &args.only)?;
    let live = live::rows(&bench, args.rounds, &args.only)?;
    let upon = live::upon(&bench, args.rounds, &args.only)?;
    let templates = templates::rows(&bench, args.rounds, &args.only)?;
    let watched = watched::rows(&root().join("target/release"), args.rounds, &args.only)?;
    let of = |name: &str| done.iter().find(|(r, _)| r.name == name).and_then(|(_, f)| f.as_ref().ok().cloned());
    match args.format {
        Format::Json => {
            let rows: Vec<_> = done
                .iter()
                .map(|(row, f)| match f {
                    Ok(f) => f.json(row.name),
                    Err(e) => json!({ "name": row.name, "error": format!("{e:#}") }),
                })
                .collect();
            println!(
                "{}",
                serde_json::to_string_pretty(&json!({
                    "machine": machine()?, "load": load, "rounds": args.rounds, "rows": rows,
                    "inspect": inspected.iter().map(|row| row.json(&inspected)).collect::<Vec<_>>(),
                    "live": live,
                    "upon": upon,
                    "templates": templates,
                    "watched": watched,
                }))?
            );
        }
        Format::Text => {
            println!(
                "\n{}, load before {load}{}. Medians of {} rounds, on tmpfs.\n",
                machine()?,
                if args.busy { ", all processors busy with other work" } else { "" },
                args.rounds
            );
            let rows: Vec<_> = done.iter().filter_map(|(row, f)| Some(f.as_ref().ok()?.cells(row.name))).collect();
            if !rows.is_empty() {
                println!("{}", table(Figures::HEAD, &rows));
                println!("{}", LEGEND.trim());
                aims(&of);
            }
            if !inspected.is_empty() {
                let rows: Vec<_> = inspected.iter().map(|row| row.cells(&inspected)).collect();
                println!("\n{}", table(inspect::HEAD, &rows));
            }
            if !live.is_empty() {
                println!("\n{}", table(live::HEAD, &live));
            }
            if !upon.is_empty() {
                println!("\n{}", table(live::UPON_HEAD, &upon));
            }
            if !templates.is_empty() {
                println!("\n{}", table(templates::HEAD, &templates));
            }
            if !watched.is_empty() {
                println!("\n{}", table(watched::HEAD, &watched));
            }
        }
    }
    let failed: Vec<_> =
        done.iter().filter_map(|(r, f)| Some(format!("{}: {:#}", r.name, f.as_ref().err()?))).collect();
    if !failed.is_empty() {
        bail!("not measured:\n  {}", failed.join("\n  "));
    }
    Ok(())
}

const LEGEND: &str = "
freeze   cryo-freeze from its start to its end, the original ended; CPU: the time of processors that it took
stopped  how long the process stood still until everything but its pages was collected, by the image's own word (ORIG): a process
         that goes on (--leave-running) goes on then, another one ends when its pages are written
seen     the longest that the process itself did not run during a --leave-running freeze
thaw     from the start of cryo-thaw --detach to the program's first own instruction
cp       `cp` of one file of the same size
Pss      memory in use by the thawed processes, what they share counted once (smaps_rollup)
peak     resident memory of the tool at its highest
smaps    reading /proc/PID/smaps once
";

fn aims(of: Others) {
    let rows: Vec<Vec<String>> = AIMS
        .iter()
        .filter_map(|aim| {
            let (value, below) = (aim.value)(&of(aim.row)?, of)?;
            let verdict = if value < below { "yes" } else { "no" };
            Some(vec![
                format!("{}: {}", aim.row, aim.text),
                format!("{value:.2}"),
                format!("< {below}"),
                verdict.to_owned(),
            ])
        })
        .collect();
    if !rows.is_empty() {
        print!("\n{}", table(&["aim", "is", "aimed at", "met"], &rows));
    }
}

/// The machine, in one line.
fn machine() -> Result<String> {
    let cpu = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpu.lines().find_map(|l| l.strip_prefix("model name")).context("no model name in /proc/cpuinfo")?;
    let cpus = cpu.lines().filter(|l| l.starts_with("processor")).count();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    Ok(format!("{} x {}, Linux {}", cpus, model.trim_start_matches(['\t', ':', ' ']), kernel.trim()))
}
