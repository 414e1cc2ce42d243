//! `notes`: what is not as it was.

use std::io::Write;

use clap::Args;
use cryo_format::section::notes::Notes as Section;

use super::Look;
use crate::Outcome;
use crate::block::{Blocks, Table};
use crate::text::shown;

/// What the freezer left out, replaced, or could not see
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cryo-inspect notes 4242.freeze")]
pub struct Notes {
    #[command(flatten)]
    look: Look,
}

impl Notes {
    /// Shows them.
    pub fn run(&self, out: &mut dyn Write) -> anyhow::Result<Outcome> {
        let opened = self.look.open()?;
        let mut blocks = Blocks::default();
        let mut table = Table::new(&["object", "note"]);
        for note in opened.ice.all::<Section>().flat_map(|(_, n)| &n.notes) {
            table.row([shown(&note.object), shown(&note.text)]);
        }
        if table.rows.is_empty() {
            blocks.caption("none");
        }
        blocks.table(table);
        self.look.draw(&opened, blocks, out)
    }
}
