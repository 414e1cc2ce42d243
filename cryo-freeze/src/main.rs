//! `cryo-freeze`: freezes a running program into files, or down a pipe.

mod hold;
mod progress_line;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use cryo_freeze::cli::Cli;
use cryo_freeze::freeze::Target;
use cryo_freeze::output;
use cryo_freeze::{Frozen, Options, Progress, freeze, only_we_may_trace};
use cryo_tracee::{guardian, report};
use hold::Hold;

fn run(cli: &Cli) -> anyhow::Result<()> {
    let progress = if report::is_wanted() { Progress::default() } else { progress_line::on_stderr() };
    let options = Options { progress, ..cli.options() };
    if let Some(name) = cli.template() {
        return hold(cli, name, options);
    }
    let Some(name) = cli.name() else {
        output::check_stdout()?;
        // The writer makes large writes of its own; std's line buffering would copy every page once more.
        let mut pipe = std::fs::File::from(rustix::io::dup(rustix::stdio::stdout())?);
        let frozen = freeze(cli.pid, Target::Pipe(&mut pipe), &options)?;
        tell(cli, &frozen);
        return Ok(());
    };
    let frozen = freeze(cli.pid, Target::Name(&name), &options)?;
    tell(cli, &frozen);
    if let Some(path) = frozen.path {
        report::outcome("frozen", &path.to_string_lossy().into());
        // Who does not read the name has the file all the same.
        let _ = writeln!(std::io::stdout(), "{}", path.display());
    }
    Ok(())
}

/// Freezes it into a template, whose name is printed.
fn hold(cli: &Cli, name: &str, options: Options) -> anyhow::Result<()> {
    let (hold, mut pipe) = Hold::start(name, &cli.thaw)?;
    let options = Options { confirm: hold.confirm(), ..options };
    let frozen = match freeze(cli.pid, Target::Pipe(&mut pipe), &options) {
        Ok(frozen) => frozen,
        Err(e) => return Err(hold.give_up(pipe).map_or(e.into(), anyhow::Error::msg)),
    };
    let name = hold.name().map_err(anyhow::Error::msg)?;
    tell(cli, &frozen);
    let _ = writeln!(std::io::stdout(), "{name}");
    Ok(())
}

fn tell(cli: &Cli, frozen: &Frozen) {
    for member in frozen.members.iter().filter(|_| cli.verbose) {
        say(&format!("process {} ({}): {} pages", member.pid, member.comm, member.pages));
    }
    for remark in frozen.remarks.iter().filter(|_| cli.verbose) {
        say(remark);
    }
    for note in &frozen.notes {
        say(&format!("note: {note}"));
    }
}

/// A line for the person who freezes. Names in it are the program's own, and so anything at all: they are escaped and cut.
#[allow(clippy::disallowed_methods)] // this is the place
fn say(text: &str) {
    cryo_tracee::say(&format!("cryo-freeze: {}", cryo_format::text::message(text)));
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Some(Err(e)) = cli.report_fd.map(report::to) {
        say(&e.to_string());
        return ExitCode::from(2);
    }
    let name = cli.name();
    let work = || match run(&cli) {
        Ok(()) => 0,
        // The command says so, which knows of which signal.
        Err(e) if matches!(e.downcast_ref(), Some(cryo_freeze::Error::Asked)) => guardian::ASKED,
        Err(e) => {
            let kind = e.downcast_ref().and_then(cryo_freeze::Error::kind);
            match e.downcast_ref() {
                _ if report::is_wanted() => report::error(&format!("{e:#}"), kind),
                Some(cryo_freeze::Error::Several(several)) => several.say(&cryo_format::given::typed(), say),
                _ => say(&format!("{e:#}")),
            }
            2
        }
    };
    let done = if only_we_may_trace(cli.pid) { guardian::run_here(work) } else { guardian::run(work) };
    match done {
        Ok(code) => ExitCode::from(code as u8),
        Err(e) => {
            if report::is_wanted() {
                report::error(&e.to_string(), e.kind());
            } else {
                say(&e.to_string());
            }
            // It may have been killed while the files of the set took their names.
            if let Some(Err(e)) = name.map(|name| output::recover(&name)) {
                say(&e.to_string());
            }
            match e {
                cryo_tracee::Error::Asked(signal) => ExitCode::from(128 + signal as u8),
                _ => ExitCode::from(2),
            }
        }
    }
}
