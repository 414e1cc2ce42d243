//! `man`: the manual pages.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

/// Print the manual page, or write a page for each command into a directory
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cryo-inspect man | man -l -
  cryo-inspect man -o ~/.local/share/man/man1")]
pub struct Man {
    /// Write cryo-inspect.1, cryo-inspect-map.1, ... here
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
}

impl Man {
    /// Writes them, for these commands.
    pub fn run(&self, cli: clap::Command, out: &mut dyn Write) -> anyhow::Result<()> {
        match &self.output {
            Some(dir) => {
                std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
                clap_mangen::generate_to(cli, dir).with_context(|| dir.display().to_string())
            }
            None => Ok(clap_mangen::Man::new(cli).render(&mut &mut *out)?),
        }
    }
}
