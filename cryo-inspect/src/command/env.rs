//! `env`: arguments and environment, as they stand in memory.

use std::io::Write;

use clap::Args;
use cryo_format::section::mm::Mm;

use super::Look;
use crate::Outcome;
use crate::block::{Blocks, Cell, Group, Mark, Table};
use crate::space::Space;
use crate::text::{clipped, count};

/// Bytes of an environment that are read.
pub const MOST: u64 = 4 << 20;
/// Bytes of one value that people are shown.
const LONG: usize = 1000;

/// Arguments and environment, as they stand in memory now; values are redacted unless --show-secrets
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cryo-inspect env 4242.freeze
  cryo-inspect env 4242.freeze --show-secrets --format jsonl")]
pub struct Env {
    #[command(flatten)]
    look: Look,
    /// Show the values of the environment, too: they often are passwords and keys
    #[arg(long)]
    show_secrets: bool,
}

impl Env {
    /// Shows it.
    pub fn run(&self, out: &mut dyn Write) -> anyhow::Result<Outcome> {
        let opened = self.look.open()?;
        let mut failed = None;
        let blocks = opened.each(|cx, _, out| {
            let Some(mm) = cx.ice.get::<Mm>(cx.owner) else {
                return out
                    .caption("no address space in these files: it is in the .frore, and its pages in the .freeze");
            };
            let mut space = match Space::of(cx.ice, cx.owner) {
                Ok(space) => space,
                Err(e) => return failed = Some(e),
            };
            let mut strings = |start: u64, end: u64| {
                let bytes = space.bytes(start, end.saturating_sub(start).min(MOST) as usize).unwrap_or_default();
                let text = bytes.strip_suffix(b"\0").unwrap_or(&bytes).to_vec();
                if bytes.is_empty() { Vec::new() } else { text.split(|b| *b == 0).map(<[u8]>::to_vec).collect() }
            };
            let arguments: Vec<Vec<u8>> = strings(mm.arg_start.0, mm.arg_end.0);
            let mut table = Table::new(&[">n", "argument"]);
            for (i, a) in arguments.iter().enumerate() {
                table.row([Cell::number(i as u64), Cell::new(clipped(a, LONG), clipped(a, usize::MAX))]);
            }
            let mut within = Blocks::default();
            within.table(table);
            out.group(Group::one("arguments", "arguments", within));
            let mut within = Blocks::default();
            let mut table = Table::new(&["name", "value"]);
            for line in strings(mm.env_start.0, mm.env_end.0) {
                let at = line.iter().position(|b| *b == b'=').unwrap_or(line.len());
                let value = line.get(at + 1..).unwrap_or_default();
                let value = if self.show_secrets {
                    Cell::new(clipped(value, LONG), clipped(value, usize::MAX))
                } else {
                    Cell::new(format!("({})", count(value.len() as u64, "byte", "bytes")), serde_json::Value::Null)
                        .marked(Mark::Faint)
                };
                table.row([clipped(&line[..at], LONG).into(), value]);
            }
            within.table(table);
            out.group(Group::one("environment", "environment", within));
        });
        if let Some(e) = failed {
            return Err(e.into());
        }
        self.look.draw(&opened, blocks, out)
    }
}
