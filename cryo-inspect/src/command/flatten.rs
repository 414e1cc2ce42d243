//! `flatten`: a set and those below it, joined into one.

use std::io::Write;
use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use cryo_format::section::AnySection;

use crate::Outcome;
use crate::command::open;
use crate::rewrite::{Change, write};

/// Write a set anew with all its pages: what it has with a parent (cryo-freeze --parent) is taken from there
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cryo-inspect flatten monday -o monday-whole && cryo-inspect verify monday-whole")]
pub struct Flatten {
    /// NAME or NAME.freeze, or the one file of `cryo-freeze -o - > FILE`; `-` is a set on standard input
    image: PathBuf,
    /// The new set is NAME.frore, NAME.frost and NAME.freeze, which must not be there yet
    #[arg(short, long, value_name = "NAME")]
    output: PathBuf,
}

/// Nothing is changed but where pages are: all that is written anew has them itself.
struct Whole;

impl Change for Whole {
    fn section(&mut self, _: u64, _: &mut AnySection) -> bool {
        false
    }

    fn keeps_all(&self) -> bool {
        true
    }
}

impl Flatten {
    /// Writes it.
    pub fn run(&self, _: &mut dyn Write) -> anyhow::Result<Outcome> {
        let ice = open(&self.image)?;
        if let Some(problem) = ice.problems.first() {
            bail!("{problem}");
        }
        write(&ice, &self.output, &mut Whole, true)?;
        Ok(Outcome::Good)
    }
}
