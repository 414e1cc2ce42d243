//! `bt`: the calls that led to where each thread is.

use std::io::Write;

use clap::Args;

use super::Look;
use crate::Outcome;
use crate::arch::Registers;
use crate::block::{Blocks, Cell, Group, Mark, Table};
use crate::lines::Lines;
use crate::modules::Modules;
use crate::print::Cx;
use crate::space::Space;
use crate::unwind::{Found, Frame, unwind};

/// The calls that led to where each thread is, each with how it was found
///
/// Frames are found by the call frame information (.eh_frame) of the files, from this machine where they are the same ones, or from the image
/// itself; else by frame pointers, and at last by what looks like a return address. Lines come from DWARF, where there is any.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cryo-inspect bt 4242.freeze
  cryo-inspect bt 4242.freeze --tid 4243
  cryo-inspect bt 4242.freeze --format jsonl | jq -r 'select(.function // \"\" | test(\"lock\"))'")]
pub struct Bt {
    #[command(flatten)]
    look: Look,
    /// Frames of one thread that are shown
    #[arg(short = 'n', long, default_value_t = 100)]
    frames: usize,
}

impl Bt {
    /// Shows them.
    pub fn run(&self, out: &mut dyn Write) -> anyhow::Result<Outcome> {
        let opened = self.look.open()?;
        let blocks = opened.try_each(|cx, threads, out| process(cx, threads, self.frames, out))?;
        self.look.draw(&opened, blocks, out)
    }
}

/// The backtrace of each of these threads, with so many frames at most.
pub fn process(cx: &Cx<'_>, threads: &[u64], most: usize, out: &mut Blocks) -> anyhow::Result<()> {
    let mut space = Space::of(cx.ice, cx.owner)?;
    let modules = Modules::of(cx, &mut space)?;
    let mut lines = Lines::default();
    for id in threads {
        let cx = super::thread_of(cx, *id);
        let title = format!("{}  {}", super::thread_title(&cx), super::syscall::doing(&cx));
        let mut within = Blocks::default();
        match Registers::of(cx.ice, *id) {
            Some(regs) => {
                let frames = unwind(&regs, &mut space, &modules);
                within.table(table(&frames[..frames.len().min(most)], &cx, &modules, &mut lines));
                if frames.len() > most {
                    within.caption(format!("... and {} more", frames.len() - most));
                }
            }
            None => within.caption("no registers in these files: they are in the .freeze"),
        }
        out.group(Group::many("threads", super::thread_id(&cx), title, within));
    }
    Ok(())
}

/// A row for each frame, and for each function that was inlined into it.
fn table(frames: &[Frame], cx: &Cx<'_>, modules: &Modules, lines: &mut Lines) -> Table {
    let mut table = Table::new(&[">#", "pc", "function", "in", "line", "found by"]);
    for (i, frame) in frames.iter().enumerate() {
        let at = frame.inside();
        let module = modules.at(at);
        let places = module.map(|m| lines.at(m, at)).unwrap_or_default();
        let file = module.map_or_else(String::new, |m| m.name.clone());
        let found = Cell::from(frame.found.words());
        let found = if frame.found == Found::Scan { found.marked(Mark::Warn) } else { found };
        let (inlined, own) = places.split_at(places.len().saturating_sub(1));
        for place in inlined {
            let function = format!("{} (inlined)", place.function);
            table.row([
                Cell::number(i as u64),
                "".into(),
                function.into(),
                file.as_str().into(),
                place.line.as_str().into(),
                "DWARF".into(),
            ]);
        }
        let symbol = modules.symbol(at).map(|(_, s)| s);
        let function = match (symbol, own.first().filter(|p| !p.function.is_empty())) {
            (Some(s), _) => Cell::new(format!("{}+{:#x}", s.name, frame.pc.wrapping_sub(s.addr)), s.name.as_str()),
            (None, Some(place)) => place.function.as_str().into(),
            (None, None) => Cell::new(
                modules.name(frame.pc).or_else(|| cx.at(frame.pc)).unwrap_or_else(|| "?".to_owned()),
                serde_json::Value::Null,
            ),
        };
        let line = own.first().map_or("", |p| p.line.as_str());
        table.row([
            Cell::number(i as u64),
            Cell::hex(format!("{:012x}", frame.pc), frame.pc),
            function,
            file.into(),
            line.into(),
            found,
        ]);
    }
    table
}
