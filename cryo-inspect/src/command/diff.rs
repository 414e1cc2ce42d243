//! `diff`: what is different between two images.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::map::Filter;
use super::{Format, draw, open};
use crate::Outcome;
use crate::diff::{Options, diff};

/// What is different between two images: two generations of a program, two copies, a set and one that was edited
///
/// Processes and threads are matched by their ids, else in their order. Every kind of state is compared as it is shown; memory by the digests of its
/// chunks first, then byte by byte, a piece at a time. Lines begin with + for what is new, - for what is gone, ~ for what is another.
/// With --range, --perm or --kind only the bytes of memory are compared.
/// Exit status: 0 the same, 1 different, 2 could not be compared.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cryo-inspect diff monday.freeze tuesday.freeze
  cryo-inspect diff monday.freeze tuesday.freeze --bytes
  cryo-inspect diff a.freeze b.freeze --state            all but memory
  cryo-inspect diff a.freeze b.freeze --pid 4242 --kind heap --bytes
  cryo-inspect diff a.freeze b.freeze --format jsonl")]
pub struct Diff {
    /// The first: NAME, NAME.freeze, ...
    a: PathBuf,
    /// The second; `-` is standard input
    b: PathBuf,
    /// How to draw it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Show the bytes that differ
    #[arg(long)]
    bytes: bool,
    /// Lines of bytes of one segment
    #[arg(long, default_value_t = 64, requires = "bytes")]
    max: usize,
    /// Say also what is the same
    #[arg(long)]
    show_unchanged: bool,
    /// Leave memory out
    #[arg(long)]
    state: bool,
    /// Only the process that has this id in either (may be given more than once)
    #[arg(long, value_name = "PID")]
    pid: Vec<u64>,
    /// Only the thread that has this id in either, and nothing else (may be given more than once)
    #[arg(long, value_name = "TID")]
    tid: Vec<u64>,
    #[command(flatten)]
    filter: Filter,
}

impl Diff {
    /// Shows it.
    pub fn run(&self, out: &mut dyn Write) -> anyhow::Result<Outcome> {
        let (a, b) = (open(&self.a)?, open(&self.b)?);
        anyhow::ensure!(
            self.filter.is_empty() || (!self.state && self.tid.is_empty()),
            "--range, --perm and --kind choose memory, --state and --tid leave memory out: give one or the other"
        );
        let options = Options {
            pids: &self.pid,
            tids: &self.tid,
            filter: Some(&self.filter).filter(|filter| !filter.is_empty()),
            unchanged: self.show_unchanged,
            bytes: self.bytes,
            most: self.max,
            state_only: self.state,
        };
        let (blocks, differences) = diff(&a, &b, options)?;
        draw(&blocks.into_vec(), self.format, out)?;
        out.flush()?;
        let problems = a.problems.iter().chain(&b.problems);
        let mut broken = false;
        for problem in problems {
            broken = true;
            crate::say(problem);
        }
        anyhow::ensure!(!broken, "not everything could be compared");
        Ok(if differences == 0 { Outcome::Good } else { Outcome::Problems })
    }
}
