//! `strings`: text in memory.

use std::io::Write;

use clap::Args;
use regex::bytes::RegexBuilder;

use super::Look;
use super::map::Filter;
use super::rows::Rows;
use crate::Outcome;
use crate::block::Cell;
use crate::scan::scan;
use crate::space::Space;
use crate::text::clipped;

/// Text in memory, with its addresses; as it is found, whatever the size of the image
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cryo-inspect strings 4242.freeze --kind heap
  cryo-inspect strings 4242.freeze -n 12 --perm w | grep -i password
  cryo-inspect strings 4242.freeze --wide --format jsonl")]
pub struct Strings {
    #[command(flatten)]
    look: Look,
    #[command(flatten)]
    filter: Filter,
    /// Characters at least
    #[arg(short = 'n', long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1000))]
    length: u16,
    /// Text of two bytes for each character (UTF-16)
    #[arg(long)]
    wide: bool,
}

impl Strings {
    /// Writes them.
    pub fn run(&self, out: &mut dyn Write) -> anyhow::Result<Outcome> {
        let opened = self.look.open()?;
        let one = if self.wide { r"(?:[\x20-\x7e\t]\x00)" } else { r"[\x20-\x7e\t]" };
        let pattern = RegexBuilder::new(&format!("{one}{{{},4096}}", self.length)).unicode(false).build()?;
        let mut rows = Rows::new(&["pid", "address", "text"], self.look.format, out)?;
        for (cx, _) in opened.processes() {
            let pid = cx.ice.get::<cryo_format::section::process::Process>(cx.owner).map_or(0, |p| p.pid);
            let mut space = Space::of(cx.ice, cx.owner)?;
            let ranges = self.filter.ranges(&space)?;
            let several = opened.people.processes.len() > 1;
            scan(&mut space, &ranges, &pattern, |addr, bytes| {
                let text: Vec<u8> = if self.wide { bytes.iter().step_by(2).copied().collect() } else { bytes.to_vec() };
                let text = clipped(&text, usize::MAX);
                let address = Cell::hex(format!("{addr:012x}"), addr);
                let pid = if several { Cell::number(pid) } else { Cell::new("", pid) };
                // Without a column for what is the same in every line.
                let pid =
                    if pid.text.is_empty() && self.look.format == super::Format::Table { None } else { Some(pid) };
                match pid {
                    Some(pid) => rows.row(&[pid, address, text.into()])?,
                    None => rows.row(&[address, text.into()])?,
                }
                Ok(true)
            })?;
        }
        let found = rows.written;
        rows.end()?;
        let outcome = opened.outcome();
        Ok(if found == 0 { outcome.max(Outcome::Problems) } else { outcome })
    }
}
