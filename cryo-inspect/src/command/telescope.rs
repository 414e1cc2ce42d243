//! `telescope`: words of memory, and what they lead to.

use std::io::Write;

use clap::Args;

use super::Look;
use super::hexdump::pointed;
use crate::Outcome;
use crate::block::{Blocks, Cell, Table};
use crate::modules::Modules;
use crate::print::Cx;
use crate::space::Space;
use crate::target::point;
use crate::text::clipped;

/// Pointers that are followed from one word.
const FAR: usize = 6;

/// Words of memory, each with what it points to, and what that points to
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cryo-inspect telescope 4242.freeze                    the stack of the first thread
  cryo-inspect telescope 4242.freeze --tid 4243 -n 32
  cryo-inspect telescope 4242.freeze environ")]
pub struct Telescope {
    #[command(flatten)]
    look: Look,
    /// Where to begin: ADDR, SYMBOL, $REGISTER, SEGMENT, with +OFFSET
    #[arg(default_value = "$sp", value_name = "WHERE")]
    place: String,
    /// How many words
    #[arg(short = 'n', long, default_value_t = 16)]
    words: u64,
}

impl Telescope {
    /// Shows them.
    pub fn run(&self, out: &mut dyn Write) -> anyhow::Result<Outcome> {
        let opened = self.look.open()?;
        let process = opened.process()?;
        let cx = opened.main_thread(&process);
        let mut space = Space::of(cx.ice, process.owner)?;
        let modules = Modules::of(&cx, &mut space)?;
        let start = point(&self.place, &cx, &space, &modules)?;
        let mut table = Table::new(&["address", ">offset", "leads to"]);
        for i in 0..self.words {
            let offset = i * space.word_size();
            let Some(at) = start.checked_add(offset) else { break };
            let Some(word) = space.word(at) else {
                table.row([
                    Cell::hex(format!("{at:012x}"), at),
                    Cell::new(format!("+{offset:#x}"), offset),
                    Cell::new("(not in the image)", serde_json::Value::Null),
                ]);
                break;
            };
            let chain = follow(word, &mut space, &cx, &modules);
            let value: Vec<serde_json::Value> = chain.iter().map(Cell::json).collect();
            let text: Vec<&str> = chain.iter().map(|c| c.text.as_str()).collect();
            table.row([
                Cell::hex(format!("{at:012x}"), at),
                Cell::new(format!("+{offset:#x}"), offset),
                Cell::new(text.join(" -> "), value),
            ]);
        }
        let mut blocks = Blocks::default();
        blocks.table(table);
        self.look.draw(&opened, blocks, out)
    }
}

/// A word, and what each word on the way points to.
fn follow(word: u64, space: &mut Space<'_>, cx: &Cx<'_>, modules: &Modules) -> Vec<Cell> {
    let mut chain = Vec::new();
    let mut here = word;
    let mut seen = Vec::new();
    loop {
        let at = pointed(here, cx, modules);
        let text = if at.is_empty() { format!("{here:#x}") } else { format!("{here:#x} {at}") };
        chain.push(Cell::hex(text, here));
        let code = space.vma(here).is_some_and(|v| v.prot & 4 != 0);
        if code || chain.len() >= FAR || seen.contains(&here) {
            return chain;
        }
        seen.push(here);
        // Text is shown as text: as a pointer it would say nothing.
        if let Some(text) = string(here, space) {
            chain.push(Cell::from(format!("\"{text}\"")));
            return chain;
        }
        match space.word(here) {
            Some(next) => here = next,
            None => return chain,
        }
    }
}

/// A string of at least four characters.
fn string(addr: u64, space: &mut Space<'_>) -> Option<String> {
    let bytes = space.bytes(addr, 64).ok()?;
    let end = bytes.iter().position(|b| !matches!(b, b' '..=b'~' | b'\t' | b'\n')).unwrap_or(bytes.len());
    let whole = bytes.get(end).is_none_or(|b| *b == 0);
    (end >= 4 && whole).then(|| clipped(&bytes[..end], 60))
}
