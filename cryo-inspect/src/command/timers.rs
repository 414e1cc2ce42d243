//! `timers`: everything that will go off.

use std::io::Write;

use clap::Args;
use cryo_format::section::Section;
use cryo_format::section::clocks::Clocks;
use cryo_format::section::descriptors::Descriptors;
use cryo_format::section::itimers::Itimers;
use cryo_format::section::ptimers::Ptimers;
use cryo_format::section::timerfd::Timerfd;

use super::Look;
use crate::Outcome;
use crate::block::{Blocks, Cell, Group, Table};
use crate::dump::section;
use crate::print::descriptors::description;

/// Everything that will go off: interval timers, POSIX timers, timerfd; and the clocks
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cryo-inspect timers 4242.freeze
  cryo-inspect timers 4242.freeze --format jsonl")]
pub struct Timers {
    #[command(flatten)]
    look: Look,
}

impl Timers {
    /// Shows them.
    pub fn run(&self, out: &mut dyn Write) -> anyhow::Result<Outcome> {
        const SHOWN: [cryo_format::Kind; 3] = [Clocks::KIND, Itimers::KIND, Ptimers::KIND];
        let opened = self.look.open()?;
        let blocks = opened.each(|cx, _, out| {
            for entry in cx.ice.of(cx.owner).filter(|e| SHOWN.contains(&e.kind)) {
                out.group(section(entry, cx));
            }
            let mut table = Table::new(&[">fd", "what"]);
            for d in cx.ice.get::<Descriptors>(cx.owner).iter().flat_map(|t| &t.descriptors) {
                if cx.ice.get::<Timerfd>(d.description).is_some() {
                    table.row([Cell::number(d.fd.into()), description(d.description, cx)]);
                }
            }
            if !table.rows.is_empty() {
                let mut within = Blocks::default();
                within.table(table);
                out.group(Group::one("descriptors", "descriptors", within));
            }
        });
        self.look.draw(&opened, blocks, out)
    }
}
