//! The command line of `cryo-freeze`: the program parses it, manual pages and completions are made of it.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Parser;

use crate::choices::Choices;
use crate::output;
use crate::{Afterwards, Live, Options};

/// Freeze a running program, with all processes that descend from it: its state goes into NAME.freeze, NAME.frore and NAME.frost, and the original ends when they are safe.
///
/// Whatever fails, the program goes on as if nothing had been tried.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Exit status: 0 frozen; 2 not frozen, the program goes on; 128 + n the same, ended by signal n.\n\nOn another machine:  cryo-freeze 4242 -o - | ssh there cryo-thaw -"
)]
pub struct Cli {
    /// The process to freeze, with its descendants
    #[arg(value_parser = pid)]
    pub pid: i32,
    /// Name of the three files, with or without an ending; a directory, DIR/, takes them by the pid [default: the pid]; `-` sends them down standard
    /// output
    #[arg(short, long, value_name = "NAME")]
    pub output: Option<PathBuf>,
    /// Let the original go on
    #[arg(long, conflicts_with = "leave_stopped")]
    pub leave_running: bool,
    /// Leave the original stopped (kill -CONT lets it go on)
    #[arg(long)]
    pub leave_stopped: bool,
    /// Copy pages while the program runs, and then stop it for a moment only, also where it is not expected to be shorter: takes as much memory again as it has
    /// [without either: a large program that goes on, if there is memory]
    #[arg(long, requires = "leave_running", conflicts_with = "no_live")]
    pub live: bool,
    /// Copy no pages while the program runs
    #[arg(long)]
    pub no_live: bool,
    /// Of a program under an overseer: keep watching what it writes to, so that the next freeze with --parent of this set looks only at that
    #[arg(long, requires = "leave_running", conflicts_with = "no_live")]
    pub keep_watch: bool,
    /// Say which processes were frozen, and how many pages of each were read
    #[arg(short, long)]
    pub verbose: bool,
    /// Hold it in memory as a template, without files, and print the template's name [NAME: the pid]: cryo-thaw --from NAME starts copies of it
    #[arg(long, value_name = "NAME", num_args = 0..=1, require_equals = true, default_missing_value = "",
          conflicts_with_all = ["output", "force", "parent", "compress", "report_fd"])]
    pub hold: Option<String>,
    /// With --hold, behind `--`: what `cryo-thaw --hold` has as options, for all copies
    #[arg(last = true, value_name = "OPTION", requires = "hold")]
    pub thaw: Vec<OsString>,
    /// Overwrite a set that exists
    #[arg(long)]
    pub force: bool,
    /// For programs: what is said, and what came of it, goes to descriptor FD as lines of JSON, and not to standard error
    #[arg(long, value_name = "FD")]
    pub report_fd: Option<i32>,
    #[command(flatten)]
    #[allow(missing_docs)] // they are options of their own
    pub choices: Choices,
}

/// A pid, which is a number.
fn pid(text: &str) -> Result<i32, String> {
    let number = text.parse().ok().filter(|pid| *pid > 0);
    number.ok_or_else(|| "a pid is a number above 0; pgrep NAME shows those of the programs with a name".to_owned())
}

impl Cli {
    /// What the library is to do; the progress is shown by whoever asks.
    pub fn options(&self) -> Options {
        Options {
            afterwards: match (self.leave_running, self.leave_stopped) {
                (true, _) => Afterwards::Run,
                (_, true) => Afterwards::Stop,
                _ => Afterwards::End,
            },
            force: self.force,
            live: match (self.live, self.no_live) {
                (true, _) => Live::Always,
                (_, true) => Live::Never,
                _ => Live::Auto,
            },
            keep_watch: self.keep_watch,
            ..self.choices.options()
        }
    }

    /// What the template is to be called, if it shall be one; empty where that is not said.
    pub fn template(&self) -> Option<&str> {
        self.hold.as_deref()
    }

    /// Name of the three files; none if the set goes down standard output, or into a template.
    pub fn name(&self) -> Option<PathBuf> {
        let pid = self.pid.to_string();
        match &self.output {
            _ if self.hold.is_some() => None,
            Some(output) if output.as_os_str() == "-" => None,
            Some(output) => Some(output::name(output, &pid)),
            None => Some(pid.into()),
        }
    }
}
