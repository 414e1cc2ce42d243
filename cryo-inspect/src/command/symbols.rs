//! `symbols`: files of the process, and what is in them.

use std::io::Write;

use clap::Args;

use super::Look;
use crate::Outcome;
use crate::block::{Cell, Table};
use crate::modules::Modules;
use crate::space::Space;
use crate::text::clipped;

/// The files whose code is in the process, with build-ids; or the symbols whose name has TEXT in it, or of an address
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cryo-inspect symbols 4242.freeze
  cryo-inspect symbols 4242.freeze malloc
  cryo-inspect symbols 4242.freeze 0x433cf2")]
pub struct Symbols {
    #[command(flatten)]
    look: Look,
    /// Part of a name, or an address (0x...); `''` is all of them
    text: Option<String>,
}

impl Symbols {
    /// Shows them.
    pub fn run(&self, out: &mut dyn Write) -> anyhow::Result<Outcome> {
        let opened = self.look.open()?;
        let mut failed = None;
        let mut found = 0;
        let blocks = opened.each(|cx, _, out| {
            let made = Space::of(cx.ice, cx.owner).and_then(|mut space| Modules::of(cx, &mut space));
            match made {
                Ok(modules) => {
                    let table = self.table(&modules);
                    found += table.rows.len();
                    out.table(table);
                }
                Err(e) => failed = Some(e),
            }
        });
        if let Some(e) = failed {
            return Err(e.into());
        }
        let outcome = self.look.draw(&opened, blocks, out)?;
        Ok(if found == 0 { outcome.max(Outcome::Problems) } else { outcome })
    }

    fn table(&self, modules: &Modules) -> Table {
        let Some(text) = &self.text else {
            let mut table = Table::new(&["range", ">symbols", "read from", "build-id", "file"]);
            for m in &modules.0 {
                let from = if m.whole { "the file here" } else { "the image" };
                table.row([
                    Cell::from(format!("{:012x}-{:012x}", m.start, m.end)),
                    Cell::number(m.symbols().len() as u64),
                    from.into(),
                    cryo_format::prim::hex(&m.build_id[..m.build_id.len().min(32)]).into(),
                    if m.path.is_empty() { m.name.as_str().into() } else { Cell::from(clipped(&m.path, 400)) },
                ]);
            }
            return table;
        };
        let mut table = Table::new(&["address", ">size", "kind", "in", "name"]);
        let addr = text.strip_prefix("0x").and_then(|digits| u64::from_str_radix(digits, 16).ok());
        let mut row = |m: &crate::modules::Module, s: &crate::modules::Symbol, name: String| {
            let kind = if s.code { "code" } else { "data" };
            table.row([
                Cell::hex(format!("{:012x}", s.addr), s.addr),
                Cell::number(s.size),
                kind.into(),
                m.name.as_str().into(),
                Cell::new(name, s.name.as_str()),
            ]);
        };
        if let Some(addr) = addr {
            if let Some((m, s)) = modules.symbol(addr) {
                row(m, s, format!("{}+{:#x}", s.name, addr - s.addr));
            }
            return table;
        }
        for m in &modules.0 {
            for s in m.symbols().iter().filter(|s| s.name.contains(text.as_str())) {
                row(m, s, s.name.clone());
            }
        }
        table
    }
}
