//! Continuing a set: a process of ours does it as `cryo-thaw` would, and then stands before the program, which is watched from its first instruction on.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::AsRawFd;
use std::path::Path;

use anyhow::{Result, bail};
use clap::Parser;
use cryo_thaw::cli::Cli;
use cryo_thaw::ice::Ice;
use cryo_thaw::ids::{self, Ids};
use cryo_thaw::stand::{Stand, Voice, stand};
use cryo_thaw::{Error, FAILED, Kept, Notes, Options, Pid};
use cryo_tracee::{foreground, report, signals};
use rustix::pipe::{PipeFlags, pipe_with};
use serde_json::Value;

use crate::cli::{Thawing, Watching};
use crate::say;
use crate::watch::log::Log;
use crate::watch::pids::NOT_TRANSLATED;
use crate::watch::set_uid::Rights;
use crate::watch::thawed::Known;
use crate::watch::{Watched, keeper, thawed};

/// Thaws a set that was verified.
pub fn thaw(set: &Path, thawing: &Thawing, watching: &Watching) -> Result<Watched> {
    let log = watching.log.as_deref().map(Log::open).transpose()?;
    let rights = Rights::new(watching.set_uid);
    let words: [OsString; 3] = ["cryo-thaw".into(), set.into(), "--no-verify".into()];
    let cli = Cli::try_parse_from(words.into_iter().chain(thawing.words()))?;
    let (report, into) = pipe_with(PipeFlags::CLOEXEC)?;
    let child = foreground::child(|| {
        let done = report::to(into.as_raw_fd()).map_err(Error::from);
        done.and_then(|()| front(set, &cli, &thawing.pid, (log, rights))).unwrap_or_else(|e| Words.complain(e))
    })?;
    drop(into);
    for line in BufReader::new(File::from(report)).lines() {
        let line: Value = serde_json::from_str(&line?).unwrap_or_default();
        if let Some(pid) = line.get("thawed").and_then(Value::as_i64) {
            return Ok(Watched::thawed(pid as i32, child));
        }
        if let Some(note) = line.get("note").and_then(Value::as_str) {
            say(note);
        }
        if let Some(error) = line.get("error").and_then(Value::as_str) {
            signals::wait_child(child)?;
            bail!("{}: {error}", set.display());
        }
    }
    let ended = signals::wait_child(child)?;
    bail!("{}: the thaw ended without a word ({})", set.display(), ended.code())
}

/// What that process does. Returns the program's exit status.
fn front(set: &Path, cli: &Cli, pid: &str, (log, rights): (Option<Log>, Rights)) -> cryo_thaw::Result<i32> {
    let mut options = Options { notes: Notes::to(|note| NOTES.add(note)), ..cli.choices.options() };
    let ice = Ice::open(set, &options)?;
    let known = thawed::known(&ice);
    let translation = translation(&ice, pid)?;
    let translate = translation.is_some();
    options.watch = Some(rights.filter(translate));
    if translate {
        options.pid = Pid::New;
    }
    let keep = Box::new(|tracees, handed: Vec<_>| {
        let pids = translate.then(|| thawed::pids(&known, &handed));
        let members = thawed::members(&known, &handed);
        let keep = keeper::thawed(tracees, handed, members, (pids, log, rights));
        keep.map_err(|error| Error::Io { what: "listening for who asks the keeper".into(), error })
    });
    let root = known.first().map_or(0, Known::pid);
    let announce = Box::new(|pid: i32, words: Option<String>| {
        if let Some(why) = &translation {
            tell(&format!(
                "{why}it runs as pid {pid} here, and sees pid {root} and the others that it had; not translated are {NOT_TRANSLATED}"
            ));
        } else if let Some(words) = &words {
            tell(words);
        }
        report::outcome("thawed", &pid.into());
        false
    });
    stand(ice, Stand { options: &options, to_the_last: false, voice: &Words, announce, keep: Some(keep) })
}

/// Is it to see its old pids, while it has new ones? If so, why, if nobody has asked for it.
fn translation(ice: &Ice, pid: &str) -> cryo_thaw::Result<Option<String>> {
    match pid {
        "translate" => Ok(Some(String::new())),
        "auto" => {
            let decision = ids::decide(ice, Pid::Auto)?;
            let why = decision.why.filter(|_| decision.ids == Ids::New);
            Ok(why.map(|why| format!("{why}: its pids are translated (--pid translate): ")))
        }
        _ => Ok(None),
    }
}

/// A line for who waits for us to have thawed it, and escapes what is in it.
#[allow(clippy::disallowed_methods)] // this is the place
fn tell(line: &str) {
    cryo_tracee::say(line);
}

/// What is said goes to who waits for us to have thawed it.
struct Words;

impl Voice for Words {
    fn notes(&self) {
        for note in NOTES.take() {
            tell(&note);
        }
    }

    fn forget(&self) {
        NOTES.take();
    }

    fn say(&self, line: &str) {
        tell(line);
    }

    fn complain(&self, e: Error) -> i32 {
        report::error(&e.to_string(), e.kind());
        FAILED
    }
}

/// What is different now, kept until it is certain that the program goes on.
static NOTES: Kept = Kept::new();
