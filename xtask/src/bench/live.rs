//! Programs that go on, and write meanwhile: for how long they stand still when they are frozen live (`--live`) and when not; and what a set upon another one
//! costs (`--parent`), where all is compared and where it is watched what is written to (`--keep-watch`, under an overseer).

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::measure::{Bench, Timed, median, path, remove_set, stored};
use super::subject::Subject;
use crate::run::{Guard, bare, end_family};

/// Name, kind and MiB of subject.c, and for how many milliseconds it is to stand still at most.
const ROWS: &[(&str, &str, &str, u32)] = &[
    ("live, 1 GiB, 1 % written in 100 ms", "written-1", "1024", 4),
    ("live, 1 GiB, 10 % written in 100 ms", "written-10", "1024", 20),
    ("live, 4 GiB, 1 % written in 100 ms", "written-1", "4096", 8),
];

const UPON: &str = "a set upon another, 1 GiB, 1 % changed";

pub const HEAD: &[&str] = &[
    "it goes on",
    "usual: still ms",
    "whole ms",
    "live: still ms",
    "aimed at",
    "to begin ms",
    "whole ms",
    "CPU ms",
    "peak MiB",
];
pub const UPON_HEAD: &[&str] =
    &["", "compared: ms", "MB", "watched: ms", "aimed at", "MB", "aimed at", "still ms", "to begin ms"];

/// For how long it stood still, in milliseconds, by the freezer's own word (`-v`).
struct Still {
    still: f64,
    /// Before, for a live freeze to begin; not a number where it was none.
    begun: f64,
}

/// Measures those with `only` in their name: cells of a table.
pub fn rows(bench: &Bench, rounds: usize, only: &str) -> Result<Vec<Vec<String>>> {
    let mut table = Vec::new();
    for (name, kind, mib, aim) in ROWS.iter().filter(|(name, ..)| name.contains(only)) {
        eprintln!("{name} ...");
        let subject = bench.subject(kind, mib)?;
        let mut figures: [Vec<f64>; 7] = Default::default();
        for round in 0..=rounds {
            let (usual, usual_still) = freeze(bench, &subject, "--no-live")?;
            let (live, live_still) = freeze(bench, &subject, "--live")?;
            let still = [usual_still.still, usual.wall_ms, live_still.still, live_still.begun];
            // The copy that it makes is in its memory until it is written.
            let now = still.into_iter().chain([live.wall_ms, live.cpu_ms, live.peak_kib as f64 / 1024.0]);
            figures.iter_mut().zip(now).filter(|_| round > 0).for_each(|(all, now)| all.push(now));
        }
        let [usual_still, usual, still, begun, live, cpu, peak] = figures.map(median);
        table.push(vec![
            (*name).to_owned(),
            format!("{usual_still:.1}"),
            format!("{usual:.0}"),
            format!("{still:.1}"),
            format!("< {aim}"),
            format!("{begun:.1}"),
            format!("{live:.0}"),
            format!("{cpu:.0}"),
            format!("{peak:.0}"),
        ]);
    }
    Ok(table)
}

/// Measures it, if `only` is in its name: cells of a table.
pub fn upon(bench: &Bench, rounds: usize, only: &str) -> Result<Vec<Vec<String>>> {
    if !UPON.contains(only) {
        return Ok(Vec::new());
    }
    eprintln!("{UPON} ...");
    let mut figures: [Vec<f64>; 6] = Default::default();
    for round in 0..=rounds {
        let subject = bench.subject("written-when-asked", "1024")?;
        let compared = pair(bench, subject.pid(), &[])?;
        drop(subject);
        let overseer = Overseer::start(bench)?;
        let watched = pair(bench, overseer.program, &["--keep-watch"])?;
        drop(overseer);
        let still = Still::of(&watched.0)?;
        let now = [compared.0.wall_ms, compared.1, watched.0.wall_ms, watched.1, still.still, still.begun];
        figures.iter_mut().zip(now).filter(|_| round > 0).for_each(|(all, now)| all.push(now));
    }
    let [compared, compared_mb, watched, watched_mb, still, begun] = figures.map(median);
    Ok(vec![vec![
        UPON.to_owned(),
        format!("{compared:.0}"),
        format!("{compared_mb:.1}"),
        format!("{watched:.0}"),
        "< 60".to_owned(),
        format!("{watched_mb:.1}"),
        "< 13".to_owned(),
        format!("{still:.1}"),
        format!("{begun:.1}"),
    ]])
}

/// It goes on afterwards.
fn freeze(bench: &Bench, subject: &Subject, how: &str) -> Result<(Timed, Still)> {
    let ice = tempfile::tempdir_in(bench.dir())?;
    let image = ice.path().join("ice");
    let args = [&subject.pid().to_string(), "-o", path(&image)?, "--leave-running", "-v", how];
    let timed = bench.tool("cryo-freeze", &args)?;
    let still = Still::of(&timed)?;
    Ok((timed, still))
}

/// A whole set, and one upon it when a hundredth has changed: how the second went, and its size in MB.
fn pair(bench: &Bench, pid: u32, options: &[&str]) -> Result<(Timed, f64)> {
    let ice = tempfile::tempdir_in(bench.dir())?;
    let [first, second] = ["first", "second"].map(|name| ice.path().join(name));
    let pid_text = pid.to_string();
    let common = [&[&pid_text, "--leave-running", "-v"], options].concat();
    bench.tool("cryo-freeze", &[&common[..], &["-o", path(&first)?]].concat())?;
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(pid as i32).context("no pid")?,
        rustix::process::Signal::USR1,
    )?;
    std::thread::sleep(Duration::from_millis(200));
    let timed =
        bench.tool("cryo-freeze", &[&common[..], &["-o", path(&second)?, "--parent", path(&first)?]].concat())?;
    let size = stored(&second)? as f64 / 1e6;
    remove_set(&second)?;
    remove_set(&first)?;
    Ok((timed, size))
}

impl Still {
    fn of(timed: &Timed) -> Result<Self> {
        let behind = |words: &str| {
            let (_, rest) = timed.stderr.split_once(words)?;
            rest.split_once(" ms")?.0.parse().ok()
        };
        let still = behind("it stood still for ").with_context(|| timed.stderr.clone())?;
        Ok(Self { still, begun: behind("to begin it had stood still for ").unwrap_or(f64::NAN) })
    }
}

/// subject.c under `overseer run`.
struct Overseer {
    _overseer: Guard,
    program: u32,
}

impl Overseer {
    fn start(bench: &Bench) -> Result<Self> {
        let log = bench.dir().join("log");
        let _ = std::fs::remove_file(&log);
        let mut command = bare(bench.program("overseer"));
        command.args(["run", "--"]).arg(bench.dir().join("static")).arg(&log).args(["written-when-asked", "1024"]);
        let null = || Stdio::null();
        let overseer: Child = command.stdin(null()).stdout(null()).stderr(null()).spawn()?;
        let overseer = Guard(overseer);
        let end = Instant::now() + Duration::from_mins(1);
        loop {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            if let Some(pid) = text.strip_prefix("ready ").and_then(|rest| rest.lines().next()?.parse().ok()) {
                return Ok(Self { _overseer: overseer, program: pid });
            }
            if Instant::now() > end {
                bail!("the program under an overseer was not ready");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Overseer {
    fn drop(&mut self) {
        end_family(self.program);
    }
}
