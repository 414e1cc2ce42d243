//! `report`: a page for a browser.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use cryo_format::section::vmas::Vma;

use super::{Opened, beside, keep, open};
use crate::Outcome;
use crate::block::{Blocks, Group};
use crate::draw::html::{Bar, page};
use crate::dump;
use crate::people::People;
use crate::print::Cx;
use crate::print::vmas::{perm, range, what};
use crate::space::{Place, Space};
use crate::text::size;

/// Bars in a picture.
const MOST: usize = 2000;
/// Frames of one thread.
const FRAMES: usize = 100;

/// Write a page for a browser: the picture of each address space, backtraces, and all that `dump` shows, in tables that sort
///
/// The page needs no network and no other file, and is never above 5 MB. Values of the environment are not in it; what is in pipes and arguments is.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cryo-inspect report 4242.freeze -o 4242.html && xdg-open 4242.html")]
pub struct Report {
    /// NAME, NAME.freeze, ...; `-` is standard input
    image: PathBuf,
    /// The page
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
}

impl Report {
    /// Writes it.
    pub fn run(&self, _: &mut dyn Write) -> anyhow::Result<Outcome> {
        let ice = open(&self.image)?;
        let people = People::of(&ice);
        let opened = Opened { ice, people };
        let text = text(&opened)?;
        let named = || self.output.display().to_string();
        let mut file = beside(&self.output)?;
        file.write_all(text.as_bytes()).with_context(named)?;
        keep(file, &self.output, self.force)?;
        Ok(opened.outcome())
    }
}

/// The page.
pub fn text(opened: &Opened) -> anyhow::Result<String> {
    let mut blocks = Blocks::default();
    let mut picture = Vec::new();
    for (cx, threads) in opened.processes() {
        let space = Space::of(cx.ice, cx.owner)?;
        picture.push((super::process_title(&cx), bars(&cx, &space)));
        let mut within = Blocks::default();
        super::bt::process(&cx, threads, FRAMES, &mut within)?;
        let title = format!("backtraces of {}", super::process_title(&cx));
        blocks.group(Group::many("backtraces", super::process_id(&cx), title, within));
    }
    blocks.append(dump::blocks(&opened.ice));
    Ok(page(&dump::who(&opened.ice), &blocks.into_vec(), &picture))
}

/// A bar for each segment; where there are very many, one for several neighbours.
fn bars(cx: &Cx<'_>, space: &Space<'_>) -> Vec<Bar> {
    let together = space.vmas.len().div_ceil(MOST).max(1);
    let bar = |some: &[Vma]| {
        let mut parts = [0u64; 5];
        let (Some(first), Some(last)) = (some.first(), some.last()) else {
            return Bar { title: String::new(), weight: 1, parts };
        };
        for run in space.within(first.start.0, last.end.0) {
            let i = match run.place {
                Place::Stored | Place::AsFile => 0,
                Place::Object(_) | Place::Parent => 1,
                Place::Disk(_) => 2,
                Place::Zero => 3,
                Place::Absent => 4,
            };
            parts[i] = parts[i].saturating_add(run.end - run.start);
        }
        let len = some.iter().fold(0u64, |sum, v| sum.saturating_add(v.end.0 - v.start.0));
        let title = match some {
            [v] => format!("{}  {}  {}  {}", range(v), size(len), perm(v), what(v, true, cx)),
            _ => format!("{:012x}-{:012x}  {}  {} segments", first.start.0, last.end.0, size(len), some.len()),
        };
        Bar { title, weight: len / 4096 + 1, parts }
    };
    space.vmas.chunks(together).map(bar).collect()
}
