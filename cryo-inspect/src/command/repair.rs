//! `repair`: a set whose index is lost.

use std::io::Write;
use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use cryo_format::set;

use crate::Outcome;
use crate::ice::{Ice, siblings};
use crate::rewrite::{Same, write};

/// Write a set anew whose index or footer is lost or damaged: its chunks are found one after another, and must all be whole
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cryo-inspect repair 4242.freeze -o 4242-mended && cryo-inspect verify 4242-mended")]
pub struct Repair {
    /// NAME or NAME.freeze
    image: PathBuf,
    /// The new set is NAME.frore, NAME.frost and NAME.freeze, which must not be there yet
    #[arg(short, long, value_name = "NAME")]
    output: PathBuf,
}

impl Repair {
    /// Writes it.
    pub fn run(&self, _: &mut dyn Write) -> anyhow::Result<Outcome> {
        let files = siblings(&self.image);
        if files.len() != 3 {
            let lacks = set::paths(&self.image).into_iter().map(|(_, path)| path).find(|path| !path.exists());
            let lacks = lacks.map_or_else(String::new, |path| format!(", and {} is not there", path.display()));
            bail!("{}: the three files of a set are needed{lacks}", self.image.display());
        }
        let ice = Ice::scan(files.iter().map(|(_, path)| path.as_path()))?;
        write(&ice, &self.output, &mut Same, true)?;
        Ok(Outcome::Good)
    }
}
