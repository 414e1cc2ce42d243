//! `extract`: bytes out of an image, as they are.

use std::fs::OpenOptions;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use cryo_format::Profile;
use cryo_format::section::descriptors::Descriptors;
use cryo_format::section::extents::Extents;
use cryo_format::section::files::OpenFile;
use cryo_format::section::objects::{Object, Objects};
use cryo_format::section::pipes::{Pipe, PipeEnd};
use cryo_format::section::unread::Unread;

use super::{Opened, open};
use crate::Outcome;
use crate::modules::Modules;
use crate::people::People;
use crate::space::Space;
use crate::target::find;

/// Bytes that are written at once.
const PIECE: u64 = 1 << 20;

/// Bytes out of an image, as they are: a range of memory, a deleted or mapped file, what is in a pipe
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cryo-inspect extract 4242.freeze '[heap]' -o heap.bin
  cryo-inspect extract 4242.freeze 7ffd4129d300-7ffd4129e000 | xxd | less
  cryo-inspect extract 4242.freeze --fd 15 -o rescued          the content of a deleted file, or of a pipe
  cryo-inspect extract 4242.freeze --object 22 -o file         an object of `dump`, by its id")]
pub struct Extract {
    /// NAME, NAME.freeze, ...; `-` is standard input
    image: PathBuf,
    /// ADDR, SYMBOL, $REGISTER, SEGMENT, each with +LEN, or START-END
    #[arg(value_name = "WHERE", required_unless_present_any = ["object", "fd"], conflicts_with_all = ["object", "fd"])]
    place: Option<String>,
    /// The file or memory object with this id
    #[arg(long, value_name = "ID", conflicts_with = "fd")]
    object: Option<u64>,
    /// What the image has of the file, or of the pipe, that this descriptor refers to
    #[arg(long, value_name = "N")]
    fd: Option<u32>,
    /// Of the process with this id
    #[arg(long, value_name = "PID")]
    pid: Option<u64>,
    /// Write zeros for what the image does not have
    #[arg(long)]
    fill: bool,
    /// Write into this file, which must not be there yet; standard output if not given
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Extract {
    /// Writes them.
    pub fn run(&self, out: &mut dyn Write) -> anyhow::Result<Outcome> {
        if self.output.is_none() && std::io::stdout().is_terminal() {
            bail!("these are bytes, not for a terminal: give -o FILE, or a pipe");
        }
        let ice = open(&self.image)?;
        let people = People::chosen(&ice, self.pid.as_slice(), &[])?;
        let opened = Opened { ice, people };
        let Some(path) = &self.output else {
            // Past the stream that takes out colours: bytes are not text.
            out.flush()?;
            self.write(&opened, &mut std::io::stdout().lock())?;
            return Ok(opened.outcome());
        };
        let made = OpenOptions::new().write(true).create_new(true).open(path);
        let mut file = made.with_context(|| format!("{}: cannot be made", path.display()))?;
        let written = self.write(&opened, &mut file);
        if written.is_err() {
            let _ = std::fs::remove_file(path);
        }
        written?;
        Ok(opened.outcome())
    }

    fn write(&self, opened: &Opened, out: &mut dyn Write) -> anyhow::Result<()> {
        if let Some(id) = self.object {
            return self.object(opened, id, out);
        }
        let process = opened.process()?;
        if let Some(fd) = self.fd {
            return self.descriptor(opened, process.owner, fd, out);
        }
        let cx = opened.main_thread(&process);
        let mut space = Space::of(cx.ice, process.owner)?;
        let modules = Modules::of(&cx, &mut space)?;
        let target = find(self.place.as_deref().unwrap_or_default(), &cx, &space, &modules)?;
        let len = target.len.context("how much? +LEN, or START-END")?;
        let end = target.start.checked_add(len).context("the range wraps around")?;
        let mut here = target.start;
        while here < end {
            let n = (end - here).min(PIECE) as usize;
            let bytes = space.bytes(here, n)?;
            out.write_all(&bytes)?;
            here += bytes.len() as u64;
            if bytes.len() < n {
                if !self.fill {
                    bail!(
                        "{here:#x} is not in the image, and not in a file that is here and the same: --fill writes zeros in its place"
                    );
                }
                let missing = (end - here).min(4096 - here % 4096);
                out.write_all(&vec![0; missing as usize])?;
                here += missing;
            }
        }
        Ok(())
    }

    fn object(&self, opened: &Opened, id: u64, out: &mut dyn Write) -> anyhow::Result<()> {
        let objects: &[Object] = opened.ice.get::<Objects>(0).map_or(&[], |o| &o.objects);
        let o = objects.iter().find(|o| o.id == id).with_context(|| format!("there is no object {id}"))?;
        let image = opened.ice.part(Profile::Freeze).and_then(|p| p.image.as_ref());
        let image = image.context("its pages are in the .freeze, which is not there, or cannot be read at random")?;
        if o.embedded == 0 && opened.ice.sections::<Extents>(id).next().is_none() {
            bail!("the image does not hold object {id}, {}", crate::print::object_name(o));
        }
        let mut memory = image.memory(id)?;
        let mut here = 0;
        let page = opened.ice.page_size();
        while here < o.size {
            let n = (o.size - here).min(PIECE);
            let mut bytes = vec![0; n as usize];
            let got = memory.read(here, &mut bytes)? as u64;
            if got == 0 {
                // A hole.
                let hole = (page - here % page).min(n);
                out.write_all(&bytes[..hole as usize])?;
                here += hole;
                continue;
            }
            out.write_all(&bytes[..got as usize])?;
            here += got;
        }
        Ok(())
    }

    fn descriptor(&self, opened: &Opened, owner: u64, fd: u32, out: &mut dyn Write) -> anyhow::Result<()> {
        let ice = &opened.ice;
        let table = ice.get::<Descriptors>(owner).context("no descriptors in these files: they are in the .frost")?;
        let d =
            table.descriptors.iter().find(|d| d.fd == fd).with_context(|| format!("there is no descriptor {fd}"))?;
        if let Some(file) = ice.get::<OpenFile>(d.description) {
            if file.object == 0 {
                bail!("descriptor {fd} is the file {}, which the image does not hold", crate::text::shown(&file.path));
            }
            return self.object(opened, file.object, out);
        }
        let pipe = ice.get::<PipeEnd>(d.description).map_or(d.description, |end| end.pipe);
        if let Some(pipe) = ice.get::<Pipe>(pipe) {
            return Ok(pipe.content.iter().try_for_each(|c| out.write_all(c))?);
        }
        if let Some(unread) = ice.get::<Unread>(d.description) {
            return Ok(out.write_all(&unread.content)?);
        }
        bail!("descriptor {fd} is neither a file in the image nor a pipe")
    }
}
