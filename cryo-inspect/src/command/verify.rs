//! `verify`: every promise of the format, checked.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::{Format, piped};
use crate::{Outcome, verify};

/// Check everything that the format promises
///
/// Of NAME.freeze the other two files are checked too, where they are there, and whether they belong together; of NAME all three.
/// Each line that is printed says where a promise is broken: FILE: offset: rule: text (spec/15-rules.md lists the rules).
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cryo-inspect verify 4242
  cryo-inspect verify 4242 --format jsonl | jq -r 'select(.status == \"broken\").rule'
  ssh host cryo-freeze 4242 -o - | cryo-inspect verify -")]
pub struct Verify {
    /// NAME, NAME.freeze, NAME.frore or NAME.frost; `-` is standard input
    image: PathBuf,
    /// How to draw it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Verify {
    /// Checks, and shows what was found.
    pub fn run(&self, out: &mut dyn Write) -> anyhow::Result<Outcome> {
        match piped(&self.image)? {
            Some(input) => verify::pipe(input, self.format, out),
            None => verify::files(&self.image, self.format, out),
        }
    }
}
