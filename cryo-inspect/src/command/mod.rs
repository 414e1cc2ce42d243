//! The subcommands, each in a file of its own name. One that only shows something makes [blocks](crate::block), and is drawn in the format that is
//! asked for; one that may have very much to say writes it as it goes.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use cryo_format::given::{self, Given};
use cryo_format::section::process::Process;
use cryo_format::section::thread::Thread;
use serde_json::Value;

use crate::Outcome;
use crate::block::{Block, Blocks, Group};
use crate::draw;
pub use crate::draw::Format;
use crate::ice::{Ice, is_name};
use crate::json;
use crate::people::People;
use crate::print::Cx;
use crate::text::{command_line, shown};

pub mod auxv;
pub mod bt;
pub mod check;
pub mod completions;
pub mod convert;
pub mod diff;
pub mod disas;
pub mod dump;
pub mod edit;
pub mod env;
pub mod extract;
pub mod fds;
pub mod flatten;
pub mod hexdump;
pub mod info;
pub mod man;
pub mod map;
pub mod notes;
pub mod query;
pub mod redact;
pub mod regs;
pub mod repair;
pub mod report;
pub mod rows;
pub mod schema;
pub mod search;
pub mod signals;
pub mod stats;
pub mod strings;
pub mod symbols;
pub mod syscall;
pub mod telescope;
pub mod threads;
pub mod timers;
pub mod tree;
pub mod tui;
pub mod verify;

/// What brings its files one after another: standard input, or a set that was sent into one file.
pub fn piped(image: &Path) -> anyhow::Result<Option<Box<dyn BufRead>>> {
    if image.as_os_str() == "-" {
        return Ok(Some(Box::new(io::stdin().lock())));
    }
    if is_name(image) {
        let [.., (_, freeze)] = cryo_format::set::paths(image);
        let name = image.display();
        anyhow::ensure!(freeze.exists(), "{name}: there is no such file, and no {}", freeze.display());
        return Ok(None);
    }
    match given::look(image) {
        Given::Compressed(program) => anyhow::bail!(given::unpack(image, program, &typed())),
        Given::Saved => {
            let file = File::open(image).with_context(|| image.display().to_string())?;
            Ok(Some(Box::new(BufReader::new(file))))
        }
        Given::Ours | Given::Other => Ok(None),
    }
}

/// A pattern that is none. (The crate draws the place of the error, on lines of its own; the last one says what it is.)
pub fn no_pattern(pattern: &str, e: &regex::Error) -> anyhow::Error {
    let text = e.to_string();
    let why = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
    anyhow::anyhow!("the pattern {pattern}: {why}")
}

/// Gives a file that is complete its name.
pub fn keep(file: tempfile::NamedTempFile, path: &Path, force: bool) -> anyhow::Result<()> {
    let kept = if force { file.persist(path) } else { file.persist_noclobber(path) };
    match kept {
        Ok(_) => Ok(()),
        Err(e) if !force && e.error.kind() == io::ErrorKind::AlreadyExists && !path.is_dir() => {
            anyhow::bail!("{} is there already: --force replaces it, or choose another name", path.display())
        }
        Err(e) => Err(e.error).with_context(|| path.display().to_string()),
    }
}

/// A file without its name yet, beside where it will be.
pub fn beside(path: &Path) -> anyhow::Result<tempfile::NamedTempFile> {
    let directory = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // The crate's own error names the temporary file.
    let made = tempfile::NamedTempFile::new_in(directory).map_err(|e| io::Error::from(e.kind()));
    made.with_context(|| format!("{}: writing into directory {}", path.display(), directory.display()))
}

/// Opens what is given: a file, a set by its name, a set in one file, or `-`. Its pages can be read.
pub fn open(image: &Path) -> anyhow::Result<Ice> {
    Ok(match piped(image)? {
        Some(input) => Ice::keep(input)?,
        None => Ice::open(image)?,
    })
}

/// The command as it was typed, for advice that can be pasted.
fn typed() -> String {
    let verb = std::env::args().nth(1).filter(|word| word.chars().all(|c| c.is_ascii_alphabetic()));
    format!("cryo-inspect {}", verb.as_deref().unwrap_or("dump"))
}

/// What all commands take that show something of an image.
#[derive(Args, Clone, Debug)]
pub struct Look {
    /// NAME, NAME.freeze, NAME.frore or NAME.frost; `-` is standard input, one file or a set
    pub image: PathBuf,
    /// How to draw it
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Only the process with this id (may be given more than once)
    #[arg(long, value_name = "PID")]
    pub pid: Vec<u64>,
    /// Only the thread with this id (may be given more than once)
    #[arg(long, value_name = "TID")]
    pub tid: Vec<u64>,
}

impl Look {
    /// Opens the image and chooses who is looked at.
    pub fn open(&self) -> anyhow::Result<Opened> {
        let mut ice = open(&self.image)?;
        let people = People::chosen(&ice, &self.pid, &self.tid)?;
        ice.look_at(people.processes.keys().copied());
        Ok(Opened { ice, people })
    }

    /// Draws blocks, says what could not be read, and tells how to exit.
    pub fn draw(&self, opened: &Opened, blocks: Blocks, out: &mut dyn Write) -> anyhow::Result<Outcome> {
        draw(blocks.into_vec().as_slice(), self.format, out)?;
        out.flush()?;
        Ok(opened.outcome())
    }
}

/// Draws blocks in this format.
pub fn draw(blocks: &[Block], format: Format, out: &mut dyn Write) -> anyhow::Result<()> {
    match format {
        Format::Table => draw::text::draw(blocks, draw::text::terminal_width(), out)?,
        Format::Json => {
            json::write_pretty(&draw::json::value(blocks), out)?;
        }
        Format::Jsonl => draw::rows::jsonl(blocks, out)?,
        Format::Csv => draw::rows::csv(blocks, out)?,
    }
    Ok(())
}

/// An image, and who is looked at.
pub struct Opened {
    /// All that is in the image.
    pub ice: Ice,
    /// Who is looked at.
    pub people: People,
}

impl Opened {
    /// Everything that could be read was: or it is said what could not.
    pub fn outcome(&self) -> Outcome {
        for problem in &self.ice.problems {
            crate::say(problem);
        }
        if self.ice.problems.is_empty() { Outcome::Good } else { Outcome::Problems }
    }

    /// The processes that are looked at.
    pub fn processes(&self) -> impl Iterator<Item = (Cx<'_>, &[u64])> {
        let all = self.people.processes.iter();
        all.map(|(id, threads)| (Cx { ice: &self.ice, owner: *id, process: Some(*id) }, threads.as_slice()))
    }

    /// The only process that is looked at, for what can be asked of one only.
    pub fn process(&self) -> anyhow::Result<Cx<'_>> {
        let mut all = self.processes();
        match (all.next(), all.next()) {
            (Some((cx, _)), None) => Ok(cx),
            (None, _) => {
                anyhow::bail!("there is no process in this file: give NAME or NAME.freeze, with the .frost beside it")
            }
            _ => {
                let pids: Vec<String> = self.ice.all::<Process>().map(|(_, p)| p.pid.to_string()).collect();
                anyhow::bail!("there are several processes: choose one with --pid ({})", pids.join(", "))
            }
        }
    }

    /// The first thread that is looked at, for registers; the process itself if it has none.
    pub fn main_thread<'a>(&'a self, process: &Cx<'a>) -> Cx<'a> {
        let first = self.people.processes.get(&process.owner).and_then(|threads| threads.first());
        thread_of(process, first.copied().unwrap_or(process.owner))
    }

    /// One group for each process, of what `make` makes of it. Where there is one process only, its heading is left out for people.
    pub fn each(&self, mut make: impl FnMut(&Cx<'_>, &[u64], &mut Blocks)) -> Blocks {
        let mut out = Blocks::default();
        let several = self.people.processes.len() > 1;
        for (cx, threads) in self.processes() {
            let mut within = Blocks::default();
            make(&cx, threads, &mut within);
            let title = if several { process_title(&cx) } else { String::new() };
            out.group(Group::many("processes", process_id(&cx), title, within));
        }
        out
    }

    /// [`each`](Self::each), of what can fail; the first error ends it.
    pub fn try_each(
        &self,
        mut make: impl FnMut(&Cx<'_>, &[u64], &mut Blocks) -> anyhow::Result<()>,
    ) -> anyhow::Result<Blocks> {
        let mut failed = None;
        let blocks = self.each(|cx, threads, out| {
            if failed.is_none() {
                failed = make(cx, threads, out).err();
            }
        });
        failed.map_or(Ok(blocks), Err)
    }
}

/// `process 4242 example`
pub fn process_title(cx: &Cx<'_>) -> String {
    match cx.ice.get::<Process>(cx.owner) {
        Some(p) => format!("process {} {}", p.pid, command_line(&p.cmdline, 60)),
        None => format!("process of local id {}", cx.owner),
    }
}

/// Whose it is, for programs.
pub fn process_id(cx: &Cx<'_>) -> Vec<(&'static str, Value)> {
    match cx.ice.get::<Process>(cx.owner) {
        Some(p) => vec![("pid", p.pid.into())],
        None => vec![("local_id", cx.owner.into())],
    }
}

/// `thread 4243 "worker"`
pub fn thread_title(cx: &Cx<'_>) -> String {
    match cx.ice.get::<Thread>(cx.owner) {
        Some(t) => format!("thread {} \"{}\"", t.tid, shown(&t.comm)),
        None => format!("thread of local id {}", cx.owner),
    }
}

/// Whose it is, for programs.
pub fn thread_id(cx: &Cx<'_>) -> Vec<(&'static str, Value)> {
    match cx.ice.get::<Thread>(cx.owner) {
        Some(t) => vec![("tid", t.tid.into())],
        None => vec![("local_id", cx.owner.into())],
    }
}

/// A thread of the same image.
pub fn thread_of<'a>(cx: &Cx<'a>, id: u64) -> Cx<'a> {
    Cx { ice: cx.ice, owner: id, process: cx.process }
}
