//! `report`: a page for a browser.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use cryo_format::section::regs::RegsX86_64;

use super::{Opened, open};
use crate::Outcome;
use crate::block::{Blocks, Group};
use crate::draw::html::{Bar, page};
use crate::dump;
use crate::lines::Lines;
use crate::modules::Modules;
use crate::people::People;
use crate::print::Cx;
use crate::print::vmas::{perm, range, what};
use crate::space::{Place, Space};
use crate::text::size;
use crate::unwind::unwind;

/// Segments in the picture.
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
}

impl Report {
    /// Writes it.
    pub fn run(&self, _: &mut dyn Write) -> anyhow::Result<Outcome> {
        let ice = open(&self.image)?;
        let people = People::of(&ice);
        let opened = Opened { ice, people };
        let mut blocks = Blocks::default();
        let mut picture = Vec::new();
        for (cx, threads) in opened.processes() {
            let mut space = Space::of(cx.ice, cx.owner)?;
            picture.push((super::process_title(&cx), bars(&cx, &space)));
            let modules = Modules::of(&cx, &mut space)?;
            let mut lines = Lines::default();
            let mut within = Blocks::default();
            for id in threads {
                let cx = super::thread_of(&cx, *id);
                let Some(regs) = cx.ice.get::<RegsX86_64>(*id) else { continue };
                let frames = unwind(regs, &mut space, &modules);
                let mut one = Blocks::default();
                one.table(super::bt::table(&frames[..frames.len().min(FRAMES)], &cx, &modules, &mut lines));
                let title = format!("{}  {}", super::thread_title(&cx), super::syscall::doing(&cx));
                within.group(Group::many("threads", super::thread_id(&cx), title, one));
            }
            let title = format!("backtraces of {}", super::process_title(&cx));
            blocks.group(Group::many("backtraces", super::process_id(&cx), title, within));
        }
        blocks.append(dump::blocks(&opened.ice));
        let text = page(&dump::who(&opened.ice), &blocks.into_vec(), &picture);
        std::fs::write(&self.output, text).with_context(|| self.output.display().to_string())?;
        Ok(opened.outcome())
    }
}

fn bars(cx: &Cx<'_>, space: &Space<'_>) -> Vec<Bar> {
    let bar = |v: &cryo_format::section::vmas::Vma| {
        let mut parts = [0u64; 5];
        let first = space.runs().partition_point(|r| r.end <= v.start.0);
        for run in space.runs()[first..].iter().take_while(|r| r.start < v.end.0) {
            let i = match run.place {
                Place::Stored | Place::AsFile => 0,
                Place::Object(_) | Place::Parent => 1,
                Place::Disk(_) => 2,
                Place::Zero => 3,
                Place::Absent => 4,
            };
            parts[i] = parts[i].saturating_add(run.end - run.start);
        }
        let len = v.end.0 - v.start.0;
        Bar {
            title: format!("{}  {}  {}  {}", range(v), size(len), perm(v), what(v, true, cx)),
            weight: len / 4096 + 1,
            parts,
        }
    };
    space.vmas.iter().take(MOST).map(bar).collect()
}
