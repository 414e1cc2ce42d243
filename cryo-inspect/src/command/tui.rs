//! `tui`: an image in the terminal, walked with the keyboard.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use clap::Args;

use super::{Opened, open};
use crate::Outcome;
use crate::people::People;
use crate::tui::{self, App};

/// Walk through an image with the keyboard: map, memory, threads, descriptors, everything else as a tree, what differs from a second image
///
/// `?` shows the keys. `:` takes every other command, without the image: `:hexdump $rsp`, `:search --text password`. Only what is shown is read.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cryo-inspect tui 4242.freeze
  cryo-inspect tui monday.freeze tuesday.freeze")]
pub struct Tui {
    /// NAME, NAME.freeze, ...; `-` is standard input
    image: PathBuf,
    /// One to compare it with
    other: Option<PathBuf>,
}

/// Runs a command line, and writes there what it shows.
pub type Run<'r> = dyn FnMut(&[String], &mut dyn Write) -> anyhow::Result<Outcome> + 'r;

/// Commands that take no image.
const OF_NOTHING: [&str; 4] = ["completions", "man", "schema", "help"];

impl Tui {
    /// Shows it, until it is left. `run` runs a command line.
    pub fn run(&self, run: &mut Run<'_>) -> anyhow::Result<Outcome> {
        ensure!(io::stdout().is_terminal(), "tui needs a terminal; `dump` shows everything without one");
        let (image, _kept) = self.image()?;
        let ice = open(&image)?;
        let people = People::of(&ice);
        let opened = Opened { ice, people };
        let other = self.other.as_deref().map(open).transpose()?;
        let mut verbs = |words: &[String], out: &mut dyn Write| {
            let Some((verb, rest)) = words.split_first() else { return Ok(()) };
            let mut line = vec!["cryo-inspect".to_owned(), verb.clone()];
            if verb == "tui" {
                bail!("this is it");
            }
            if !OF_NOTHING.contains(&verb.as_str()) {
                line.push(image.display().to_string());
            }
            line.extend_from_slice(rest);
            run(&line, out).map(drop)
        };
        let mut app = App::new(&opened, other.as_ref(), &mut verbs);
        tui::run(&mut app).context("the terminal")?;
        Ok(opened.outcome())
    }

    /// A file with the image in it: commands open it again.
    fn image(&self) -> anyhow::Result<(PathBuf, Option<tempfile::NamedTempFile>)> {
        if self.image.as_os_str() != "-" {
            return Ok((self.image.clone(), None));
        }
        let mut file = tempfile::NamedTempFile::new()?;
        io::copy(&mut io::stdin().lock(), &mut file).context("keeping standard input in a temporary file")?;
        Ok((file.path().to_owned(), Some(file)))
    }
}
