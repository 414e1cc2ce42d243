//! The command line of `cryo-thaw`: the program parses it, manual pages and completions are made of it.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::choices::Choices;

/// What --hold has decided for a copy.
const CHOSEN_BEFORE: [&str; 14] = [
    "image",
    "hold",
    "report_fd",
    "pid",
    "fds",
    "tcp",
    "file_map",
    "time",
    "own_credentials",
    "lower_limits",
    "no_verify",
    "ignore_cpu",
    "remap",
    "trust",
];

/// Thaw a frozen program: it goes on where it was, in the foreground as if it had been started here.
///
/// Signals and Ctrl-C reach it; its exit status becomes ours.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Exit status: the program's own; 128+n if signal n ended it; 125 if it could not be thawed. \
With --detach: 0 or 125."
)]
pub struct Cli {
    /// NAME or NAME.freeze, with NAME.frore and NAME.frost beside it, or the one file of `cryo-freeze -o - > FILE`; `-` reads the set from standard input
    #[arg(required_unless_present_any = ["from", "templates", "end"])]
    pub image: Option<PathBuf>,
    /// Hold it in memory as a template, and print the template's name [NAME: that of the set]: it does not run, and copies of it start at once. What is chosen
    /// now is chosen for all copies
    #[arg(long, value_name = "NAME", num_args = 0..=1, require_equals = true, default_missing_value = "", requires = "image",
          conflicts_with_all = ["detach", "pid_file", "wait", "stopped", "report_fd"])]
    pub hold: Option<String>,
    /// Start a copy of a template, in the foreground as if it had been started here. Its memory is shared with the template until it is written
    #[arg(long, value_name = "TEMPLATE", conflicts_with_all = CHOSEN_BEFORE)]
    pub from: Option<String>,
    /// List your templates
    #[arg(long, exclusive = true)]
    pub templates: bool,
    /// End a template; its copies go on
    #[arg(long, value_name = "TEMPLATE", exclusive = true)]
    pub end: Option<String>,
    /// Print the new pid and leave the program to itself, in a session of its own
    #[arg(long)]
    pub detach: bool,
    /// Write the new pid into FILE
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
    /// Return when the program ends, with its status; or when `all` processes that were thawed with it have ended, with the same status
    #[arg(long, value_enum, default_value_t = WaitArg::Root, conflicts_with = "detach")]
    pub wait: WaitArg,
    /// As root: let it run at once, and fill its memory behind it; what it waits for comes first
    #[arg(long, conflicts_with_all = ["hold", "from"])]
    pub lazy: bool,
    /// With --lazy: bring only what it touches until it has touched nothing for a second (30 at most), and write into NAME.freeze in which order that was: the
    /// next --lazy thaw brings these pages first
    #[arg(long, requires = "lazy")]
    pub learn: bool,
    /// Leave it stopped (kill -CONT lets it go on; of a family each process, which are named)
    #[arg(long)]
    pub stopped: bool,
    /// For programs: what is said, and what came of it, goes to descriptor FD as lines of JSON, and not to standard error
    #[arg(long, value_name = "FD")]
    pub report_fd: Option<i32>,
    #[command(flatten)]
    #[allow(missing_docs)] // they are options of their own
    pub choices: Choices,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)] // as on the command line
pub enum WaitArg {
    Root,
    All,
}
