//! `convert`: an image as another kind of file.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, ValueEnum};

use super::{Opened, beside, keep, open};
use crate::Outcome;
use crate::convert::from_core;
use crate::convert::to_core::{self, Extent};
use crate::people::People;

/// Make an ELF core of an image, for gdb, lldb, drgn, eu-stack, ...; or an image of an ELF core
///
/// The core (--to core) has every thread with all its registers, what is mapped where, the auxiliary vector, and the memory that is at hand: in the image, or in files
/// of this machine that are the same. Of a 32-bit process it is a 32-bit core. It takes its name when it is complete; a core that was there is replaced only with --force.
///
/// Of a core of x86-64 or i386 (--from core: of gcore, of the kernel, of another program) a set is made, with what a core has: memory, threads, registers, the
/// auxiliary vector, mapped files. It can be looked at with all commands; it has no descriptors, handlers and credentials, and cryo-thaw refuses it.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cryo-inspect convert 4242.freeze --to core -o 4242.core && gdb /usr/bin/example 4242.core
  cryo-inspect convert 4242.freeze --to core --type mini -o small.core
  cryo-inspect convert 4242.freeze --to core --pid 4243 -o child.core
  gcore 4242 && cryo-inspect convert core.4242 --from core -o crash && cryo-inspect bt crash")]
pub struct Convert {
    /// NAME, NAME.freeze, ...; `-` is standard input. With --from: the core
    image: PathBuf,
    /// What to make of it
    #[arg(long, value_enum, required_unless_present = "from")]
    to: Option<Other>,
    /// What it is, to make a set of it
    #[arg(long, value_enum, conflicts_with_all = ["to", "extent", "pid", "force"])]
    from: Option<Other>,
    /// How much of memory is in it
    #[arg(long = "type", value_enum, default_value = "full", value_name = "TYPE")]
    extent: Extent,
    /// The file to write; of a set its NAME
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Of the process with this id
    #[arg(long, value_name = "PID")]
    pid: Option<u64>,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Other {
    /// An ELF core
    Core,
}

impl Convert {
    /// Writes it.
    pub fn run(&self, _: &mut dyn Write) -> anyhow::Result<Outcome> {
        if let Some(Other::Core) = self.from {
            from_core::write(&self.image, &self.output)?;
            return Ok(Outcome::Good);
        }
        let ice = open(&self.image)?;
        let people = People::chosen(&ice, self.pid.as_slice(), &[])?;
        let opened = Opened { ice, people };
        let cx = opened.process()?;
        let threads = opened.people.processes.get(&cx.owner).map_or(&[][..], Vec::as_slice);
        let named = || self.output.display().to_string();
        let mut file = beside(&self.output)?;
        let written = to_core::write(&cx, threads, self.extent, file.as_file_mut());
        // A full disk, say; what is wrong with the image names itself.
        written.map_err(|e| if e.is::<std::io::Error>() { e.context(named()) } else { e })?;
        file.as_file().sync_all().with_context(named)?;
        keep(file, &self.output, self.force)?;
        Ok(opened.outcome())
    }
}
