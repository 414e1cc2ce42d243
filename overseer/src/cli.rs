//! The command line of `overseer`: the program parses it, manual pages and completions are made of it.

use std::ffi::OsString;

use clap::{Args, Parser, Subcommand};

/// Start a program and stand by it.
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
}

/// `overseer run`.
#[derive(Debug, Args)]
#[command(after_help = "Exit status: the program's own; 128+n if signal n ended it; 125 if nothing could be started.")]
pub struct Run {
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "PROGRAM")]
    pub program: Vec<OsString>,
}
