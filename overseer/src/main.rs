//! `overseer`: starts a program, or continues one from its newest set, and freezes it in time.

use std::process::ExitCode;

use clap::Parser;
use overseer::cli::{Cli, Command};
use overseer::{policy, say, watch};

/// Nothing was started, as of other commands that start programs (env, nohup, timeout).
const FAILED: u8 = 125;

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(run) => policy::run(&run),
        Command::Resume(resume) => policy::resume(&resume),
        Command::Receive(receive) => policy::take(&receive),
        Command::Show(show) => overseer::show(&show).map(|()| 0),
        Command::HoldShutdown => policy::shutdown::hold().map(|()| 0),
        Command::Attach(attach) => watch::attach::attach(attach.pid),
    };
    match done {
        Ok(code) => ExitCode::from(code as u8),
        Err(e) => {
            say(&format!("{e:#}"));
            ExitCode::from(FAILED)
        }
    }
}
