//! `cryo-thaw`: brings a frozen program back to life.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use cryo_thaw::cli::{Cli, WaitArg};
use cryo_thaw::foreground;
use cryo_thaw::ice::Ice;
use cryo_thaw::original;
use cryo_thaw::pid_file::PidFile;
use cryo_thaw::stand::{Stand, Voice, stand};
use cryo_thaw::templates::{Called, How, caller, holder};
use cryo_thaw::{FAILED, Kept, Notes, Options};
use cryo_tracee::{namespace, report};

fn run(cli: &Cli) -> anyhow::Result<i32> {
    if cli.templates {
        return list().map(|()| 0);
    }
    if let Some(name) = &cli.end {
        caller::end(name)?;
        return Ok(0);
    }
    let pid_file = cli.pid_file.as_deref().map(PidFile::open).transpose()?;
    if let Some(name) = &cli.from {
        return copy(cli, name, pid_file);
    }
    let image = cli.image.as_deref().unwrap_or(Path::new("-"));
    let options = Options {
        notes: Notes::to(|note| NOTES.add(note)),
        stopped: cli.stopped,
        detach: cli.detach,
        lazy: cli.lazy.then_some(say),
        learn: cli.learn.then(|| learned(image)).transpose()?,
        ..cli.choices.options()
    };
    let ice = if image == Path::new("-") {
        let mut ice = Ice::stdin(&options)?;
        // Of a template each copy finds out for itself whether the original has ended; and that ends when the template stands.
        if cli.hold.is_none() {
            original::let_end(&mut ice, &options)?;
            foreground::replace_stdin(&ice, &options)?;
        }
        ice
    } else {
        Ice::open(image, &options)?
    };
    if let Some(name) = &cli.hold {
        return hold(ice, options, name, image);
    }
    let mut pid_file = pid_file;
    let announce = Box::new(|pid, words| announce(cli, pid_file.take(), pid, words));
    let to_the_last = cli.wait == WaitArg::All;
    Ok(stand(ice, Stand { options: &options, to_the_last, voice: &Words, announce, keep: None })?)
}

/// The .freeze that is written anew with what was learned.
fn learned(image: &Path) -> anyhow::Result<PathBuf> {
    let [.., (_, freeze)] = cryo_format::set::paths(image);
    std::path::absolute(&freeze).with_context(|| freeze.display().to_string())
}

/// Holds a template, and prints what it is called.
fn hold(ice: Ice, options: Options, name: &str, image: &Path) -> anyhow::Result<i32> {
    let called = if !name.is_empty() {
        Called::Exactly(name.to_owned())
    } else if image == Path::new("-") {
        Called::After(ice.root()?.1.pid.to_string())
    } else {
        Called::After(image.file_stem().unwrap_or_default().to_string_lossy().into_owned())
    };
    match holder::start(ice, options, &called, &Words)? {
        Ok(name) => {
            writeln!(std::io::stdout(), "{name}")?;
            Ok(0)
        }
        Err(code) => Ok(code),
    }
}

/// Starts a copy of a template, and stands before it as before a thawed program.
fn copy(cli: &Cli, name: &str, pid_file: Option<PidFile>) -> anyhow::Result<i32> {
    let how = How { stopped: cli.stopped, detach: cli.detach, to_the_last: cli.wait == WaitArg::All };
    let mut copied = match caller::copy(name, how)? {
        Ok(copied) => copied,
        Err(code) => return Ok(code),
    };
    let pid = copied.pid;
    // What its ids are, the holder has said.
    if announce(cli, pid_file, pid, None) {
        return Ok(0);
    }
    match cryo_tracee::foreground::wait_for_namespace(&mut copied, None) {
        Err(cryo_tracee::Error::Died(_)) => {
            anyhow::bail!(
                "nobody tells of the copy any more (the holder of template {name} has ended, or the process above the copy): it may run on, its pid is {pid}"
            )
        }
        Ok(code) if cli.wait == WaitArg::All => {
            cryo_tracee::foreground::wait_for_rest_of(&mut copied)?;
            Ok(code)
        }
        other => Ok(other?),
    }
}

/// The templates of this user, as a table.
fn list() -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{:<24} {:>8} {:>10} {:>7}  PROGRAM", "NAME", "PID", "MEMORY", "COPIES")?;
    for one in caller::all()? {
        let (memory, program) = (format!("{} KiB", one.memory), cryo_format::text::message(&one.command));
        writeln!(out, "{:<24} {:>8} {memory:>10} {:>7}  {program}", one.name, one.pid, one.copies)?;
    }
    Ok(())
}

/// What a thaw, or a template's holder, has to say.
struct Words;

impl Voice for Words {
    fn notes(&self) {
        say_notes();
    }

    fn forget(&self) {
        NOTES.take();
    }

    fn say(&self, line: &str) {
        say(line);
    }

    fn complain(&self, e: cryo_thaw::Error) -> i32 {
        complain(&e.into());
        self.forget();
        FAILED
    }
}

/// Tells the pid to whom it may concern; true if that was all (--detach). The program runs by now: what cannot be written is said.
fn announce(cli: &Cli, pid_file: Option<PidFile>, pid: i32, words: Option<String>) -> bool {
    if let Some(words) = words {
        say(&words);
    }
    if let Some(Err(e)) = pid_file.map(|file| file.write(pid)) {
        say(&format!("{e}: the program runs, its pid is {pid}"));
    }
    report::outcome("thawed", &pid.into());
    if cli.detach
        && !report::is_wanted()
        && let Err(e) = writeln!(std::io::stdout(), "{pid}")
    {
        say(&format!("writing to standard output: {e}: the program runs, its pid is {pid}"));
    }
    cli.detach
}

/// A line for the person who thaws. It may quote the image, and so anything at all: the only way to the terminal, where that is escaped and cut.
#[allow(clippy::disallowed_methods)] // this is the place
fn say(text: &str) {
    cryo_tracee::say(&format!("cryo-thaw: {}", cryo_format::text::message(text)));
}

/// What is different now. It is true only of a program that goes on, and kept until that is certain.
static NOTES: Kept = Kept::new();

/// The program goes on: this is so.
fn say_notes() {
    for note in NOTES.take() {
        say(&note);
    }
}

fn complain(e: &anyhow::Error) {
    match e.downcast_ref() {
        _ if report::is_wanted() => {
            report::error(&format!("{e:#}"), e.downcast_ref().and_then(cryo_thaw::Error::kind));
        }
        Some(cryo_thaw::Error::Several(several)) => several.say(&cryo_format::given::typed(), say),
        _ => say(&format!("{e:#}")),
    }
}

fn main() -> ExitCode {
    if let Some(code) = namespace::executed_as_init() {
        return ExitCode::from(code as u8);
    }
    let cli = Cli::parse();
    let run = |cli: &Cli| {
        cli.report_fd.map_or(Ok(()), report::to)?;
        run(cli)
    };
    match run(&cli) {
        Ok(code) => ExitCode::from(code as u8),
        Err(e) => {
            complain(&e);
            ExitCode::from(FAILED as u8)
        }
    }
}
