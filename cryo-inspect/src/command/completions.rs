//! `completions`: what a shell needs to complete our command lines.

use std::io::Write;

use clap::Args;
use clap_complete::{Shell, generate};

/// Print what a shell needs to complete the command lines of cryo-inspect
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cryo-inspect completions bash > ~/.local/share/bash-completion/completions/cryo-inspect
  cryo-inspect completions zsh > ~/.zfunc/_cryo-inspect")]
pub struct Completions {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    /// Prints it, for these commands.
    pub fn run(&self, mut cli: clap::Command, out: &mut dyn Write) {
        let name = cli.get_name().to_owned();
        generate(self.shell, &mut cli, name, &mut &mut *out);
    }
}
