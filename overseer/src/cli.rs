//! The command line of `overseer`: the program parses it, manual pages and completions are made of it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use cryo_freeze::choices::Choices;

use crate::policy::place::{Place, Receiver};
use crate::policy::trigger::Trigger;
use crate::watch::set_uid::SetUid;

/// Start a program, stand by it, and freeze it in time: every ten minutes, when a signal asks for it, before memory or time are over.
#[derive(Debug, Parser)]
#[command(name = "overseer", version)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start a program and stand by it; it behaves as if it had been started alone
    Run(Run),
    /// Continue the newest complete set of a directory, or the set that a .freeze is of
    Resume(Resume),
    /// Take a set from standard input into a directory, and verify it: what --to runs on another machine
    Receive(Receive),
    /// Show the lists of a watched family, as they are now: descriptors with their history, handlers, timers; or the sets of a directory
    Show(Show),
    /// Stand by a watched family whose overseer was killed: the exit status is the program's
    Attach(Attach),
    /// Hold what makes the machine wait before it goes down: --freeze-on shutdown runs it
    #[command(hide = true)]
    HoldShutdown,
}

/// `overseer show`.
#[derive(Debug, Args)]
pub struct Show {
    /// A process of the family; or the directory of the sets: which are complete, which one is resumed, and the history in it
    #[arg(value_name = "PID|DIR")]
    pub what: PathBuf,
    /// For people or for programs
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

/// How something is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)] // as on the command line
pub enum Format {
    Table,
    Json,
}

/// `overseer attach`.
#[derive(Debug, Args)]
pub struct Attach {
    /// A process of the family
    #[arg(value_parser = clap::value_parser!(i32).range(1..))]
    pub pid: i32,
}

/// `overseer run`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: the program's own; 128+n if signal n ended it; --exit-code (85) if it was frozen and has \
ended with that; 125 if nothing could be started, 126 if the program cannot be executed, 127 if there is no such program; 2 for a mistake on the command line.\n\nIn a batch queue, where the same line is started again and again until \
the program has ended:\n  overseer run --dir D --resume-if-any --freeze-on SIGTERM --exit-code 85 -- PROGRAM"
)]
pub struct Run {
    /// Continue the newest complete set of the directory; start the program only if there is none. When it has ended with status 0 its sets are
    /// removed: the next start begins anew
    #[arg(long, requires = "dir")]
    pub resume_if_any: bool,
    #[command(flatten)]
    #[allow(missing_docs)] // they are options of their own
    pub watching: Watching,
    #[command(flatten)]
    #[allow(missing_docs)] // they are options of their own
    pub keeping: Keeping,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "PROGRAM")]
    pub program: Vec<OsString>,
}

/// `overseer resume`.
#[derive(Debug, Args)]
#[command(after_help = "Exit status: as of `overseer run`; 125 if nothing can be continued.")]
pub struct Resume {
    /// The directory of the sets (--dir of `overseer run`); further ones go there, too. Or a set by itself, as cryo-freeze makes it
    #[arg(value_name = "DIR|SET.freeze")]
    pub from: PathBuf,
    #[command(flatten)]
    #[allow(missing_docs)] // they are options of their own
    pub watching: Watching,
    #[command(flatten)]
    #[allow(missing_docs)] // they are options of their own
    pub keeping: Keeping,
}

/// `overseer receive`.
#[derive(Debug, Args)]
#[command(
    after_help = "Prints the name of its .freeze when it is complete there, verified, and on the disk.\n\nExample: cryo-freeze 4242 -o - | ssh beta overseer receive ice"
)]
pub struct Receive {
    /// The directory of the sets; it is made if it is not there
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// How many complete sets are kept there
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    pub keep: u32,
    /// Take nothing: say only whether a set could be taken
    #[arg(long)]
    pub ready: bool,
}

/// How a program is watched.
#[derive(Args, Clone, Debug)]
pub struct Watching {
    /// Write all that is watched there as it happens: lines of JSON
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// What becomes of a program that would run with other rights than who executes it (set-user-ID, set-group-ID, file capabilities); it is told, and in the log
    #[arg(long, value_enum, default_value_t = SetUid::Allow)]
    pub set_uid: SetUid,
}

/// When a program is frozen, and what becomes of it.
#[derive(Args, Clone, Debug)]
pub struct Keeping {
    /// Where the sets are kept: DIR/000001.freeze with its .frore and .frost, and so on. For one program at a time
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Freeze it so often; it goes on
    #[arg(long, value_name = "TIME", value_parser = period)]
    pub every: Option<Duration>,
    /// With --every: write only what has changed since the last set; every 16th is whole, and so is one with which the program ends. What a program writes to its large
    /// mappings is watched in between
    #[arg(long, requires = "every", conflicts_with_all = ["parent", "to"])]
    pub incremental: bool,
    /// Freeze it when this happens: a signal is sent to the overseer (SIGTERM, SIGUSR1, SIGPWR, ...; it does not reach the program); `memory=80%` of what its
    /// control groups or the machine have is in use; `pressure=20%` of the time some process waits for memory; the `load=N` is reached;
    /// `deadline=TIME` (2026-11-26T12:00:00Z, `+2h` from now, `-5m` before the end of a Slurm job);
    /// `shutdown`, where systemd-logind tells that the machine goes down
    #[arg(long, value_name = "WHAT", allow_hyphen_values = true)]
    pub freeze_on: Vec<Trigger>,
    /// Send each set there when it is complete: a directory, or one of another machine (by ssh, and `overseer receive` there). It is verified there, and
    /// only then the program ends. --keep holds there, too
    #[arg(long, value_name = "DIR|USER@HOST:DIR", conflicts_with = "parent", value_parser = OsStringValueParser::new().map(Place::from))]
    pub to: Option<Place>,
    /// The command in the place of ssh, with its options, quoted as in a shell, for --to; $CRYO_SSH says it, too
    /// [without either: ssh -o BatchMode=yes -o ConnectTimeout=15 -o ServerAliveInterval=15]
    #[arg(long, value_name = "COMMAND", requires = "to")]
    pub ssh: Option<String>,
    /// What becomes of a program that was frozen because of --freeze-on: it ends, or goes on
    #[arg(long, value_enum, default_value_t = Then::Exit)]
    pub then: Then,
    /// The exit status of the overseer when the program was frozen and has ended with that
    #[arg(long, value_name = "N", default_value_t = 85)]
    pub exit_code: u8,
    /// How many complete sets are kept; older ones are removed when a new one has been verified
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    pub keep: u32,
    #[command(flatten, next_help_heading = "When it is frozen")]
    #[allow(missing_docs)] // they are options of their own
    pub freezing: Choices,
    #[command(flatten, next_help_heading = "When it is thawed")]
    #[allow(missing_docs)] // they are options of their own
    pub thawing: Thawing,
}

impl Keeping {
    /// Where sets are sent.
    pub fn receiver(&self) -> Option<Receiver> {
        let ssh = self.ssh.clone().or_else(|| std::env::var("CRYO_SSH").ok());
        Some(Receiver { place: self.to.clone()?, keep: self.keep, ssh })
    }
}

/// What becomes of a program that was frozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)] // as on the command line
pub enum Then {
    Exit,
    Continue,
}

/// Options of `cryo-thaw`, which gets them as they are.
#[derive(Args, Clone, Debug)]
#[allow(missing_docs)] // as on the command line
pub struct Thawing {
    /// Its ids: as of cryo-thaw; or `translate`: new ones, while it goes on to see the old ones. `auto` does that, too, where the old ones cannot be had and no
    /// namespace may be made
    #[arg(long, value_name = "auto|same|namespace|new|translate", default_value = "auto")]
    pub pid: String,
    /// A file (or all below a directory) that is elsewhere now
    #[arg(long, value_name = "OLD=NEW")]
    pub file_map: Vec<OsString>,
    /// Lower resource limits where it had more than is allowed here
    #[arg(long)]
    pub lower_limits: bool,
    /// Go on although this CPU lacks instructions that the program may use
    #[arg(long)]
    pub ignore_cpu: bool,
}

impl Thawing {
    /// As words of a command line.
    pub fn words(&self) -> Vec<OsString> {
        // What it takes to translate is ours to do.
        let pid = if self.pid == "translate" { "new" } else { &self.pid };
        let mut words: Vec<OsString> = vec!["--pid".into(), pid.into()];
        for map in &self.file_map {
            words.extend(["--file-map".into(), map.clone()]);
        }
        let switches = [("--lower-limits", self.lower_limits), ("--ignore-cpu", self.ignore_cpu)];
        words.extend(switches.iter().filter(|(_, on)| *on).map(|(word, _)| OsString::from(word)));
        words
    }
}

/// A time that is not nothing.
fn period(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if time.is_zero() => Err("a time that is more than nothing is needed".into()),
        Ok(time) => Ok(time),
        Err(e) => Err(format!("{e}: write it as 10m, 90s, 2h")),
    }
}
