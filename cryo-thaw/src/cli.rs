//! The command line of `cryo-thaw`: the program parses it, manual pages and completions are made of it.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::choices::Choices;

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
    pub image: PathBuf,
    /// Print the new pid and leave the program to itself, in a session of its own
    #[arg(long)]
    pub detach: bool,
    /// Write the new pid into FILE
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
    /// Return when the program ends, with its status; or when `all` processes that were thawed with it have ended, with the same status
    #[arg(long, value_enum, default_value_t = WaitArg::Root, conflicts_with = "detach")]
    pub wait: WaitArg,
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
