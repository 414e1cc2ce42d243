//! One row: its rounds, and the figures that come of them.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::{
    Linked, Row,
    subject::{self, Subject},
};
use crate::run::{capture, check, line, root, wait};

const LIMIT: Duration = Duration::from_mins(2);
const MS: f64 = 1e6;

/// The folder on tmpfs that it all happens in, and the programs.
pub struct Bench {
    dir: tempfile::TempDir,
    tools: PathBuf,
}

/// What is known of a row.
#[derive(Clone)]
pub struct Figures {
    pub freeze_ms: f64,
    pub freeze_cpu_ms: f64,
    /// Not a number where the image does not say.
    pub stopped_ms: f64,
    pub seen_ms: f64,
    pub thaw_ms: f64,
    pub cp_ms: f64,
    pub smaps_ms: f64,
    pub stored: u64,
    pub pss_kib: u64,
    pub freeze_peak_kib: u64,
    pub thaw_peak_kib: u64,
}

/// One run of a command, by `xtask/bench/timed.c`.
pub struct Timed {
    pub start: i64,
    pub end: i64,
    pub wall_ms: f64,
    pub peak_kib: u64,
    /// Time of processors.
    pub cpu_ms: f64,
    pub stdout: String,
    pub stderr: String,
}

impl Bench {
    /// Compiles the programs.
    pub fn new(tools: &Path) -> Result<Self> {
        let dir =
            tempfile::Builder::new().prefix("cryo-bench-").tempdir_in("/dev/shm").context("no tmpfs on /dev/shm")?;
        for (name, source, link) in
            [("timed", "timed", "-static"), ("static", "subject", "-static"), ("dynamic", "subject", "-pie")]
        {
            let mut gcc = Command::new("gcc");
            gcc.args(["-O2", "-Wall", "-Wextra", "-Werror", "-pthread", link, "-o"]).arg(dir.path().join(name));
            check(gcc.arg(root().join("xtask/bench").join(source).with_extension("c")), LIMIT)?;
        }
        let bench = Self { dir, tools: tools.to_owned() };
        bench.touch_memory()?;
        Ok(bench)
    }

    /// Has the machine give us the memory that a round takes at most: the program, its image, two copies.
    fn touch_memory(&self) -> Result<()> {
        let path = self.dir.path().join("touched");
        let mut file = File::create(&path)?;
        let block = vec![1; 1 << 20];
        for _ in 0..4 << 10 {
            file.write_all(&block)?;
        }
        Ok(fs::remove_file(path)?)
    }

    /// All rounds of a row.
    pub fn row(&self, row: &Row, rounds: usize) -> Result<Figures> {
        self.round(row).context("in the round before the first")?;
        let rounds = (0..rounds).map(|_| self.round(row)).collect::<Result<Vec<_>>>()?;
        Ok(Figures::median(&rounds))
    }

    fn round(&self, row: &Row) -> Result<Figures> {
        let program = self.dir.path().join(if row.linked == Linked::Static { "static" } else { "dynamic" });
        let mut subject = Subject::start(&program, self.dir.path().join("log"), row.kind, row.count)?;
        let pid = subject.pid().to_string();
        let smaps_ms = read_ms(&format!("/proc/{pid}/smaps"))?;
        let ice = tempfile::tempdir_in(self.dir.path())?;
        let image = ice.path().join("ice");

        let live = self.tool("cryo-freeze", &[&pid, "-o", path(&image)?, "--leave-running"])?;
        let during = subject.gaps().into_iter().filter(|g| g.end >= live.start && g.start <= live.end);
        let seen_ms = during.map(|g| (g.end - g.start) as f64 / MS).fold(0.0, f64::max);
        remove_set(&image)?;

        let freeze = self.tool("cryo-freeze", &[&pid, "-o", path(&image)?])?;
        subject.wait_for_end()?;
        let freeze_file = image.with_extension("freeze");
        let stopped_ms = self.stopped_ms(&image.with_extension("frost"))?;
        let stored = stored(&image)?;

        let thaw = self.tool("cryo-thaw", &[path(&freeze_file)?, "--detach"])?;
        let copy: u32 =
            thaw.stdout.trim().parse().with_context(|| format!("cryo-thaw --detach printed {:?}", thaw.stdout))?;
        let awake = subject.wait_for_gap(freeze.end, thaw.start);
        let pss_kib = pss_kib(copy);
        subject::end(copy);
        let awake = awake?;

        Ok(Figures {
            freeze_ms: freeze.wall_ms,
            freeze_cpu_ms: freeze.cpu_ms,
            stopped_ms,
            seen_ms,
            thaw_ms: (awake.end - thaw.start) as f64 / MS,
            cp_ms: self.cp_ms(&image)?,
            smaps_ms,
            stored,
            pss_kib,
            freeze_peak_kib: freeze.peak_kib,
            thaw_peak_kib: thaw.peak_kib,
        })
    }

    /// The folder on tmpfs.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// One of ours.
    pub fn program(&self, name: &str) -> PathBuf {
        self.tools.join(name)
    }

    /// A static program in one of the states of subject.c.
    pub fn subject(&self, kind: &str, count: &str) -> Result<Subject> {
        Subject::start(&self.dir.path().join("static"), self.dir.path().join("log"), kind, count)
    }

    pub fn tool(&self, name: &str, args: &[&str]) -> Result<Timed> {
        self.timed(Command::new(self.program(name)).args(args), 0)
    }

    /// Runs a command by way of timed.c, which is to exit with `code`. What it prints goes to a file: a copy that it leaves behind must not hold us.
    pub fn timed(&self, cmd: &Command, code: i64) -> Result<Timed> {
        let [report, out, err] = ["report", "out", "err"].map(|n| self.dir.path().join(n));
        let mut timed = Command::new(self.dir.path().join("timed"));
        timed.arg(&report).arg(cmd.get_program()).args(cmd.get_args());
        timed.stdin(Stdio::null()).stdout(File::create(&out)?).stderr(File::create(&err)?);
        let status = wait(&mut timed.spawn()?, &line(cmd), LIMIT)?;
        let numbers: Vec<i64> = match fs::read_to_string(&report) {
            Ok(text) if status.success() => text.split_whitespace().filter_map(|n| n.parse().ok()).collect(),
            _ => bail!("timed {}: {status}", line(cmd)),
        };
        // The wait status of who exits.
        let &[start, end, wall, peak, ended, cpu] = numbers.as_slice() else { bail!("timed {}: no report", line(cmd)) };
        if ended != code << 8 {
            bail!("`{}` failed: {}", line(cmd), fs::read_to_string(&err)?.trim());
        }
        Ok(Timed {
            start,
            end,
            wall_ms: wall as f64 / MS,
            peak_kib: peak as u64,
            cpu_ms: cpu as f64 / 1e3,
            stdout: fs::read_to_string(&out)?,
            stderr: fs::read_to_string(&err)?,
        })
    }

    /// ORIG's word, wherever in the JSON it is.
    fn stopped_ms(&self, image: &Path) -> Result<f64> {
        let mut dump = Command::new(self.tools.join("cryo-inspect"));
        let text = capture(dump.arg("dump").arg(image).args(["--format", "json"]).stdin(Stdio::null()), LIMIT)?;
        let found = find(&serde_json::from_str(&text)?, "stopped_ns").context("no stopped_ns in the .frost")?;
        Ok(if found == 0.0 { f64::NAN } else { found / MS })
    }

    /// `cp` of one file with all the bytes of the set.
    fn cp_ms(&self, image: &Path) -> Result<f64> {
        let [one, copy] = ["one", "copy"].map(|n| self.dir.path().join(n));
        let mut to = File::create(&one)?;
        for ext in SET {
            std::io::copy(&mut File::open(image.with_extension(ext))?, &mut to)?;
        }
        let wall_ms = self.timed(Command::new("cp").arg(&one).arg(&copy), 0)?.wall_ms;
        fs::remove_file(&one)?;
        fs::remove_file(&copy)?;
        Ok(wall_ms)
    }
}

const SET: [&str; 3] = ["freeze", "frore", "frost"];

/// The size of a set.
pub fn stored(image: &Path) -> Result<u64> {
    SET.iter().map(|ext| Ok(fs::metadata(image.with_extension(ext))?.len())).sum()
}

pub fn remove_set(image: &Path) -> Result<()> {
    SET.iter().try_for_each(|ext| Ok(fs::remove_file(image.with_extension(ext))?))
}

/// Memory in use by a process and its descendants, what they share counted once.
pub fn pss_kib(pid: u32) -> u64 {
    let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let own =
        read("smaps_rollup").lines().find_map(|l| l.strip_prefix("Pss:")?.trim().strip_suffix(" kB")?.parse().ok());
    let children = read(&format!("task/{pid}/children"));
    own.unwrap_or(0) + children.split_whitespace().filter_map(|child| Some(pss_kib(child.parse().ok()?))).sum::<u64>()
}

/// The one in the middle; not a number where there are none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// As an argument.
pub fn path(p: &Path) -> Result<&str> {
    p.to_str().context("a path that is not UTF-8")
}

fn read_ms(file: &str) -> Result<f64> {
    let start = Instant::now();
    fs::read(file)?;
    Ok(start.elapsed().as_nanos() as f64 / MS)
}

/// A number, or a number in a string, under a key at any depth.
fn find(value: &Value, key: &str) -> Option<f64> {
    match value {
        Value::Object(map) => {
            let here = map.get(key).and_then(|v| v.as_f64().or_else(|| v.as_str()?.parse().ok()));
            here.or_else(|| map.values().find_map(|v| find(v, key)))
        }
        Value::Array(list) => list.iter().find_map(|v| find(v, key)),
        _ => None,
    }
}

impl Figures {
    pub const HEAD: &'static [&'static str] = &[
        "",
        "freeze ms",
        "CPU ms",
        "/ cp",
        "stopped ms",
        "seen ms",
        "thaw ms",
        "/ cp",
        "cp ms",
        "stored KiB",
        "Pss KiB",
        "peak KiB: freeze",
        "thaw",
        "smaps ms",
    ];

    /// Each figure's median.
    fn median(rounds: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| median(rounds.iter().map(figure).collect());
        Self {
            freeze_ms: of(|f| f.freeze_ms),
            freeze_cpu_ms: of(|f| f.freeze_cpu_ms),
            stopped_ms: of(|f| f.stopped_ms),
            seen_ms: of(|f| f.seen_ms),
            thaw_ms: of(|f| f.thaw_ms),
            cp_ms: of(|f| f.cp_ms),
            smaps_ms: of(|f| f.smaps_ms),
            stored: of(|f| f.stored as f64) as u64,
            pss_kib: of(|f| f.pss_kib as f64) as u64,
            // A peak is a peak: its highest.
            freeze_peak_kib: rounds.iter().map(|f| f.freeze_peak_kib).max().unwrap_or(0),
            thaw_peak_kib: rounds.iter().map(|f| f.thaw_peak_kib).max().unwrap_or(0),
        }
    }

    pub fn peak(&self) -> u64 {
        self.freeze_peak_kib.max(self.thaw_peak_kib)
    }

    pub fn cells(&self, name: &str) -> Vec<String> {
        let ms = |v: f64| {
            if v.is_nan() {
                "?".to_owned()
            } else if v < 10.0 {
                format!("{v:.2}")
            } else {
                format!("{v:.0}")
            }
        };
        vec![
            name.to_owned(),
            ms(self.freeze_ms),
            ms(self.freeze_cpu_ms),
            format!("{:.2}", self.freeze_ms / self.cp_ms),
            ms(self.stopped_ms),
            ms(self.seen_ms),
            ms(self.thaw_ms),
            format!("{:.2}", self.thaw_ms / self.cp_ms),
            ms(self.cp_ms),
            (self.stored / 1024).to_string(),
            self.pss_kib.to_string(),
            self.freeze_peak_kib.to_string(),
            self.thaw_peak_kib.to_string(),
            ms(self.smaps_ms),
        ]
    }

    pub fn json(&self, name: &str) -> Value {
        json!({
            "name": name,
            "freeze_ms": self.freeze_ms,
            "freeze_cpu_ms": self.freeze_cpu_ms,
            "stopped_ms": self.stopped_ms,
            "seen_ms": self.seen_ms,
            "thaw_ms": self.thaw_ms,
            "cp_ms": self.cp_ms,
            "smaps_ms": self.smaps_ms,
            "stored_bytes": self.stored,
            "pss_kib": self.pss_kib,
            "freeze_peak_kib": self.freeze_peak_kib,
            "thaw_peak_kib": self.thaw_peak_kib,
        })
    }
}
