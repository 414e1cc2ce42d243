//! `auxv`: what the kernel told the program when it started.

use std::io::Write;

use clap::Args;
use cryo_format::section::mm::Mm;

use super::Look;
use crate::Outcome;
use crate::block::{Cell, Table};
use crate::print::mm::auxv_name;

/// Entries that are shown; programs have about twenty.
const MOST: usize = 1000;

/// The auxiliary vector: what the kernel told the program when it started
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cryo-inspect auxv 4242.freeze
  cryo-inspect auxv 4242.freeze --format jsonl | jq -r 'select(.name == \"AT_ENTRY\").value'")]
pub struct Auxv {
    #[command(flatten)]
    look: Look,
}

impl Auxv {
    /// Shows it.
    pub fn run(&self, out: &mut dyn Write) -> anyhow::Result<Outcome> {
        let opened = self.look.open()?;
        let blocks = opened.each(|cx, _, out| {
            let Some(mm) = cx.ice.get::<Mm>(cx.owner) else {
                return out.caption("no address space in these files: it is in the .frore");
            };
            let mut table = Table::new(&[">type", "name", "value", "where"]);
            for pair in mm.auxv.chunks_exact(2).take(MOST) {
                let (kind, value) = (pair[0].0, pair[1].0);
                if kind == 0 {
                    break;
                }
                let (name, decimal) = auxv_name(kind);
                let name = name.map_or_else(|| format!("{kind}"), |n| format!("AT_{n}"));
                let text = if decimal { value.to_string() } else { format!("{value:#x}") };
                let place = if decimal { String::new() } else { cx.at(value).unwrap_or_default() };
                let cell = if decimal { Cell::number(value) } else { Cell::hex(text, value) };
                table.row([Cell::number(kind), name.into(), cell, place.into()]);
            }
            out.table(table);
        });
        self.look.draw(&opened, blocks, out)
    }
}
