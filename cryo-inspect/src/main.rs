//! `cryo-inspect`: looks into the ice.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use cryo_inspect::{Outcome, command, say};

/// Look into a frozen process, without thawing it.
#[derive(Parser)]
#[command(
    version,
    after_help = "Exit status: 0 all is well; 1 something in the image is broken, nothing was found, the two differ, or it would not thaw here; 2 it could not be read."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
#[allow(clippy::large_enum_variant)] // one is made in a run
enum Command {
    #[command(flatten)]
    Shown(Shown),
    Tui(command::tui::Tui),
    Schema(command::schema::Schema),
    Completions(command::completions::Completions),
    Man(command::man::Man),
}

/// Those that are files of their own in src/command/.
#[derive(Subcommand)]
#[allow(clippy::large_enum_variant)] // one is made in a run
enum Shown {
    Dump(command::dump::Dump),
    Verify(command::verify::Verify),
    Info(command::info::Info),
    Map(command::map::Map),
    Regs(command::regs::Regs),
    Syscall(command::syscall::Syscall),
    Fds(command::fds::Fds),
    Signals(command::signals::Signals),
    Timers(command::timers::Timers),
    Tree(command::tree::Tree),
    Threads(command::threads::Threads),
    Env(command::env::Env),
    Auxv(command::auxv::Auxv),
    Notes(command::notes::Notes),
    Query(command::query::Query),
    Diff(command::diff::Diff),
    Check(command::check::Check),
    Convert(command::convert::Convert),
    Stats(command::stats::Stats),
    Edit(command::edit::Edit),
    Redact(command::redact::Redact),
    Repair(command::repair::Repair),
    Flatten(command::flatten::Flatten),
    Report(command::report::Report),
    Hexdump(command::hexdump::Hexdump),
    Telescope(command::telescope::Telescope),
    Bt(command::bt::Bt),
    Disas(command::disas::Disas),
    Symbols(command::symbols::Symbols),
    Strings(command::strings::Strings),
    Search(command::search::Search),
    Extract(command::extract::Extract),
}

fn run(command: &Command, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    match command {
        Command::Tui(command) => command.run(&mut |words, out| match Cli::try_parse_from(words) {
            Ok(cli) => run(&cli.command, out),
            Err(e) => {
                // Help is an answer, too.
                write!(out, "{e}")?;
                Ok(Outcome::Good)
            }
        }),
        Command::Completions(command) => {
            command.run(Cli::command(), out);
            Ok(Outcome::Good)
        }
        Command::Man(command) => {
            command.run(Cli::command(), out)?;
            Ok(Outcome::Good)
        }
        Command::Schema(command) => {
            command.run(out)?;
            Ok(Outcome::Good)
        }
        Command::Shown(shown) => match shown {
            Shown::Dump(command) => command.run(out),
            Shown::Verify(command) => command.run(out),
            Shown::Info(command) => command.run(out),
            Shown::Map(command) => command.run(out),
            Shown::Regs(command) => command.run(out),
            Shown::Syscall(command) => command.run(out),
            Shown::Fds(command) => command.run(out),
            Shown::Signals(command) => command.run(out),
            Shown::Timers(command) => command.run(out),
            Shown::Tree(command) => command.run(out),
            Shown::Threads(command) => command.run(out),
            Shown::Env(command) => command.run(out),
            Shown::Auxv(command) => command.run(out),
            Shown::Notes(command) => command.run(out),
            Shown::Query(command) => command.run(out),
            Shown::Diff(command) => command.run(out),
            Shown::Check(command) => command.run(out),
            Shown::Convert(command) => command.run(out),
            Shown::Stats(command) => command.run(out),
            Shown::Edit(command) => command.run(out),
            Shown::Redact(command) => command.run(out),
            Shown::Repair(command) => command.run(out),
            Shown::Flatten(command) => command.run(out),
            Shown::Report(command) => command.run(out),
            Shown::Hexdump(command) => command.run(out),
            Shown::Telescope(command) => command.run(out),
            Shown::Bt(command) => command.run(out),
            Shown::Disas(command) => command.run(out),
            Shown::Symbols(command) => command.run(out),
            Shown::Strings(command) => command.run(out),
            Shown::Search(command) => command.run(out),
            Shown::Extract(command) => command.run(out),
        },
    }
}

/// Did the reader of our output go away? It has seen what it wanted.
fn reader_is_gone(e: &anyhow::Error) -> bool {
    let kinds = e.chain().filter_map(|e| {
        let json = e.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind);
        json.or_else(|| e.downcast_ref::<io::Error>().map(io::Error::kind))
    });
    kinds.into_iter().any(|kind| kind == io::ErrorKind::BrokenPipe)
}

/// Is the image at fault, and not the way to it?
fn image_is_broken(e: &anyhow::Error) -> bool {
    e.chain().any(|e| e.downcast_ref::<cryo_format::Error>().is_some_and(|e| e.rule().is_some()))
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut out = BufWriter::new(anstream::stdout().lock());
    let done = run(&cli.command, &mut out).and_then(|outcome| {
        out.flush()?;
        Ok(outcome)
    });
    // What is left in the buffer has failed before: it is not tried again.
    let _ = out.into_parts();
    match done {
        Ok(Outcome::Good) => ExitCode::SUCCESS,
        Ok(Outcome::Problems) => ExitCode::from(1),
        Err(e) if reader_is_gone(&e) => ExitCode::SUCCESS,
        Err(e) => {
            say(&format!("{e:#}"));
            ExitCode::from(if image_is_broken(&e) { 1 } else { 2 })
        }
    }
}
