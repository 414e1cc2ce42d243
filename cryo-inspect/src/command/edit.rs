//! `edit`: a set with something changed.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use clap::Args;
use cryo_format::prim::Bytes;
use cryo_format::section::AnySection;
use cryo_format::section::forked::Forked;
use cryo_format::section::mm::Mm;
use cryo_format::section::process::Process;

use super::{Opened, open};
use crate::Outcome;
use crate::arch;
use crate::modules::Modules;
use crate::people::People;
use crate::print::Cx;
use crate::rewrite::{Change, write};
use crate::space::{Place, Space};
use crate::target::point;

/// Write a new set in which registers, bytes of memory, paths or values of the environment are others
///
/// The old set stays as it is. What is changed must be there: a page that is zero, or only in a file, has no bytes in the image to change.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cryo-inspect edit 4242.freeze -o fixed --register rip=0x401234 --tid 4243
  cryo-inspect edit 4242.freeze -o fixed --poke counter='2a 00 00 00'
  cryo-inspect edit 4242.freeze -o fixed --path /var/log/old=/var/log/new
  cryo-inspect edit 4242.freeze -o fixed --env LANG=C")]
pub struct Edit {
    /// NAME or NAME.freeze
    image: PathBuf,
    /// The new set is NAME.frore, NAME.frost and NAME.freeze, which must not be there yet
    #[arg(short, long, value_name = "NAME")]
    output: PathBuf,
    /// A general register, of the thread that --tid says
    #[arg(long, value_name = "REG=VALUE")]
    register: Vec<String>,
    /// Bytes in hex at an address or a symbol
    #[arg(long, value_name = "WHERE=HEX")]
    poke: Vec<String>,
    /// A path of a mapped or an open file, a directory, FIFO, socket, message queue or watch, or what it begins with
    #[arg(long, value_name = "OLD=NEW")]
    path: Vec<String>,
    /// A value of the environment, where the program was given it when it started: at most as long as the old one. A copy that the program has
    /// made (setenv(3), os.environ) stays as it is
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Of the process with this id
    #[arg(long, value_name = "PID")]
    pid: Option<u64>,
    /// Of the thread with this id; the first if not given
    #[arg(long, value_name = "TID")]
    tid: Option<u64>,
}

struct Edits {
    process: u64,
    thread: u64,
    registers: Vec<(String, u64)>,
    bytes: BTreeMap<u64, u8>,
    paths: Vec<(Vec<u8>, Vec<u8>)>,
    /// Which of `registers` and of `paths` there was something for.
    used: (Vec<bool>, Vec<bool>),
    page: u64,
}

impl Change for Edits {
    fn section(&mut self, owner: u64, section: &mut AnySection) -> bool {
        let mut changed = false;
        match section {
            AnySection::RegsX86_64(_) | AnySection::RegsI386(_) if owner == self.thread => {
                for ((name, value), used) in self.registers.iter().zip(&mut self.used.0) {
                    if arch::set(section, name, *value) {
                        (*used, changed) = (true, true);
                    }
                }
            }
            other => {
                for path in paths(other) {
                    changed |= self.replace(&mut path.0);
                }
            }
        }
        changed
    }

    fn page(&mut self, owner: u64, addr: u64, bytes: &mut [u8]) -> bool {
        if owner != self.process {
            return false;
        }
        let mut changed = false;
        for (at, byte) in self.bytes.range(addr..addr.saturating_add(self.page)) {
            bytes[(at - addr) as usize] = *byte;
            changed = true;
        }
        changed
    }
}

impl Edits {
    fn replace(&mut self, path: &mut Vec<u8>) -> bool {
        for ((old, new), used) in self.paths.iter().zip(&mut self.used.1) {
            if let Some(rest) = path.strip_prefix(old.as_slice())
                && (rest.is_empty() || rest.starts_with(b"/"))
            {
                *path = [new, rest].concat();
                *used = true;
                return true;
            }
        }
        false
    }
}

/// Every path in a section, but for what only tells people where something was (`what` of OUTS, the arguments).
fn paths(section: &mut AnySection) -> Vec<&mut Bytes> {
    match section {
        AnySection::Objects(o) => o.objects.iter_mut().map(|o| &mut o.path).collect(),
        AnySection::OpenFile(f) => vec![&mut f.path],
        AnySection::Process(p) => vec![&mut p.exe, &mut p.cwd, &mut p.root],
        AnySection::Fs(f) => vec![&mut f.cwd, &mut f.root],
        AnySection::Removed(r) => vec![&mut r.path, &mut r.target],
        AnySection::Pipe(p) => vec![&mut p.path],
        AnySection::Unix(u) => vec![&mut u.name, &mut u.directory],
        AnySection::Mqueue(m) => vec![&mut m.name],
        AnySection::Inotify(i) => i.watches.iter_mut().map(|w| &mut w.path).collect(),
        AnySection::Fanotify(f) => f.marks.iter_mut().map(|m| &mut m.path).collect(),
        AnySection::Outside(o) => vec![&mut o.path],
        _ => Vec::new(),
    }
}

fn pair(text: &str) -> anyhow::Result<(&str, &str)> {
    text.split_once('=').with_context(|| format!("{text}: what is to be what? A=B"))
}

impl Edit {
    /// Writes it.
    pub fn run(&self, _: &mut dyn Write) -> anyhow::Result<Outcome> {
        let ice = open(&self.image)?;
        let people = People::chosen(&ice, self.pid.as_slice(), self.tid.as_slice())?;
        let opened = Opened { ice, people };
        ensure!(opened.ice.problems.is_empty(), "{}: broken: cryo-inspect verify says where", self.image.display());
        let process = opened.process()?;
        let cx = opened.main_thread(&process);
        let mut space = Space::of(cx.ice, process.owner)?;
        let modules = Modules::of(&cx, &mut space)?;
        let mut edits = Edits {
            process: process.owner,
            thread: cx.owner,
            registers: Vec::new(),
            bytes: BTreeMap::new(),
            paths: Vec::new(),
            used: (vec![false; self.register.len()], vec![false; self.path.len()]),
            page: cx.ice.page_size(),
        };
        for text in &self.register {
            let (name, value) = pair(text)?;
            let arch = cx.arch();
            let names = arch.register_names();
            ensure!(
                names.contains(&arch.register_name(name)),
                "{name}: no general register of {}: {}",
                arch.name(),
                names.join(" ")
            );
            let value = crate::address::number(value)?;
            ensure!(arch.address(value) == value, "{text}: more than {} bytes", arch.word());
            edits.registers.push((name.to_owned(), value));
        }
        for text in &self.poke {
            let (place, hex) = pair(text)?;
            let start = point(place, &cx, &space, &modules)?;
            poke(&space, start, &bytes(hex)?, &mut edits)?;
        }
        for text in &self.path {
            let (old, new) = pair(text)?;
            edits.paths.push((old.as_bytes().to_vec(), new.as_bytes().to_vec()));
        }
        for text in &self.env {
            let (name, value) = pair(text)?;
            let (start, new) = environment(&cx, process.owner, &mut space, name, value)?;
            poke(&space, start, &new, &mut edits)?;
        }
        let wanted = edits.registers.len() + edits.bytes.len() + edits.paths.len();
        ensure!(wanted > 0, "nothing is to be changed: --register, --poke, --path or --env");
        // What would change nothing is told before anything is written.
        for entry in cx.ice.parts.iter().flat_map(|p| &p.entries) {
            if let Ok(section) = &entry.section {
                edits.section(entry.owner, &mut section.clone());
            }
        }
        for (text, used) in self.register.iter().zip(&edits.used.0) {
            ensure!(used, "--register {text}: the thread has no registers in these files: they are in the .freeze");
        }
        for (text, used) in self.path.iter().zip(&edits.used.1) {
            ensure!(
                used,
                "--path {text}: no path in the set is this one or below it: `cryo-inspect map` and `fds` show them"
            );
        }
        heirs(&cx, &edits);
        write(cx.ice, &self.output, &mut edits, false)?;
        Ok(Outcome::Good)
    }
}

/// Says which children have pages that are changed: what fork(2) left shared stands in the image once.
fn heirs(cx: &Cx<'_>, edits: &Edits) {
    for (owner, forked) in cx.ice.all::<Forked>() {
        let theirs = |at: &u64| forked.ranges.iter().any(|r| (r.start.0..r.end.0).contains(at));
        if forked.parent == edits.process
            && let Some(at) = edits.bytes.keys().find(|at| theirs(at))
            && let Some(child) = cx.ice.get::<Process>(owner)
        {
            crate::say(&format!(
                "process {} has the page at {at:#x} in common since fork(2): it changes there, too",
                child.pid
            ));
        }
    }
}

fn poke(space: &Space<'_>, start: u64, new: &[u8], edits: &mut Edits) -> anyhow::Result<()> {
    for (i, byte) in new.iter().enumerate() {
        let at = start + i as u64;
        let there = space.run(at).is_some_and(|r| matches!(r.place, Place::Stored | Place::AsFile));
        ensure!(there, "{at:#x} has no bytes of its own in the image: nothing there can be changed");
        edits.bytes.insert(at, *byte);
    }
    Ok(())
}

/// Where a value of the environment stands, and the bytes that take its place: the new value, and zeros up to where the old one ended.
fn environment(
    cx: &Cx<'_>,
    process: u64,
    space: &mut Space<'_>,
    name: &str,
    value: &str,
) -> anyhow::Result<(u64, Vec<u8>)> {
    let mm = cx.ice.get::<Mm>(process).context("no address space in these files: it is in the .frore")?;
    let (start, end) = (mm.env_start.0, mm.env_end.0);
    let all = space.bytes(start, end.saturating_sub(start).min(super::env::MOST) as usize)?;
    let prefix = format!("{name}=");
    let mut at = start;
    for line in all.split(|b| *b == 0) {
        if let Some(old) = line.strip_prefix(prefix.as_bytes()) {
            ensure!(
                value.len() <= old.len(),
                "{name}: the new value has {} bytes, and the old one {}: behind it stands the next one. Give it at most {} bytes, or start the \
                 program with it",
                value.len(),
                old.len(),
                old.len()
            );
            ensure!(!value.contains('\0'), "{name}: a value has no zero byte in it");
            let mut new = value.as_bytes().to_vec();
            new.resize(old.len(), 0);
            return Ok((at + prefix.len() as u64, new));
        }
        at += line.len() as u64 + 1;
    }
    bail!("{name} is not in the environment: cryo-inspect env shows what is")
}

fn bytes(hex: &str) -> anyhow::Result<Vec<u8>> {
    let digits: String = hex.chars().filter(|c| !c.is_whitespace()).collect();
    let pairs = digits.as_bytes().chunks(2);
    let byte = |pair: &[u8]| {
        std::str::from_utf8(pair).ok().filter(|p| p.len() == 2).and_then(|p| u8::from_str_radix(p, 16).ok())
    };
    pairs.map(|p| byte(p).with_context(|| format!("{hex}: two hex digits for each byte"))).collect()
}
