//! `extract`: bytes out of an image, as they are.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use cryo_format::Profile;
use cryo_format::ranges::joined;
use cryo_format::section::descriptors::Descriptors;
use cryo_format::section::extents::{Content, Extent, Extents};
use cryo_format::section::files::OpenFile;
use cryo_format::section::objects::{Object, Objects};
use cryo_format::section::pipes::{Pipe, PipeEnd};
use cryo_format::section::unread::Unread;

use super::{Opened, open};
use crate::Outcome;
use crate::modules::Modules;
use crate::people::People;
use crate::print::object_name;
use crate::space::Space;
use crate::target::find;
use crate::text::size;

/// Bytes that are written at once.
const PIECE: u64 = 1 << 20;
/// Bytes of holes that go down a pipe without being asked for.
const HOLES: u64 = 1 << 30;

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
        if self.output.is_none() && io::stdout().is_terminal() {
            bail!("these are bytes, not for a terminal: give -o FILE, or a pipe");
        }
        let ice = open(&self.image)?;
        let people = People::chosen(&ice, self.pid.as_slice(), &[])?;
        let opened = Opened { ice, people };
        let Some(path) = &self.output else {
            // Past the stream that takes out colours: bytes are not text.
            out.flush()?;
            self.write(&opened, &mut io::stdout().lock())?;
            return Ok(opened.outcome());
        };
        let made = OpenOptions::new().write(true).create_new(true).open(path);
        let mut file = match made {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                bail!("{} is there already: choose another name", path.display())
            }
            made => made.with_context(|| path.display().to_string())?,
        };
        let written = match self.content(&opened)? {
            // A file has holes where the object has them.
            Some(object) => sparse(&opened, object, &mut file),
            None => self.write(&opened, &mut file),
        };
        if written.is_err() {
            let _ = std::fs::remove_file(path);
        }
        written?;
        Ok(opened.outcome())
    }

    fn write(&self, opened: &Opened, out: &mut dyn Write) -> anyhow::Result<()> {
        if let Some(object) = self.content(opened)? {
            return self.object(opened, object, out);
        }
        let process = opened.process()?;
        if let Some(fd) = self.fd {
            return descriptor(opened, process.owner, fd, out);
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

    /// The object whose content is asked for, if it is that of one.
    fn content<'a>(&self, opened: &'a Opened) -> anyhow::Result<Option<&'a Object>> {
        let id = match (self.object, self.fd) {
            (Some(id), _) => id,
            (None, Some(fd)) => {
                let description = description(opened, opened.process()?.owner, fd)?;
                match opened.ice.get::<OpenFile>(description) {
                    Some(file) if file.object == 0 => {
                        let path = crate::text::shown(&file.path);
                        bail!("descriptor {fd} is the file {path}, which the image does not hold")
                    }
                    Some(file) => file.object,
                    None => return Ok(None),
                }
            }
            (None, None) => return Ok(None),
        };
        let objects: &[Object] = opened.ice.get::<Objects>(0).map_or(&[], |o| &o.objects);
        let o = objects.iter().find(|o| o.id == id).with_context(|| format!("there is no object {id}"))?;
        if o.embedded == 0 && opened.ice.sections::<Extents>(id).next().is_none() {
            bail!("the image does not hold object {id}, {}", object_name(o));
        }
        Ok(Some(o))
    }

    /// All of it, with its holes as zeros.
    fn object(&self, opened: &Opened, o: &Object, out: &mut dyn Write) -> anyhow::Result<()> {
        let held = stored(opened, o)?.iter().map(|(start, end)| end - start).sum::<u64>();
        if !self.fill && o.size.saturating_sub(held) > HOLES {
            bail!(
                "object {} has {}, of which the image holds {}: -o FILE makes a file with holes, --fill writes the zeros",
                o.id,
                size(o.size),
                size(held)
            );
        }
        let mut here = 0;
        for (start, end) in stored(opened, o)? {
            io::copy(&mut io::repeat(0).take(start - here), out)?;
            pieces(opened, o, (start, end), |_, bytes| Ok(out.write_all(bytes)?))?;
            here = end;
        }
        io::copy(&mut io::repeat(0).take(o.size - here), out)?;
        Ok(())
    }
}

/// What the image stores of an object: ranges of its offsets.
fn stored(opened: &Opened, o: &Object) -> anyhow::Result<Vec<(u64, u64)>> {
    let image = opened.ice.part(Profile::Freeze).and_then(|p| p.image.as_ref());
    let image = image.context("its pages are in the .freeze, which is not there, or cannot be read at random")?;
    let (memory, page) = (image.memory(o.id)?, opened.ice.page_size());
    let stored = memory.extents().filter(|(e, _)| e.content != Content::ZERO);
    let range =
        |e: &Extent| (e.vaddr.0.min(o.size), e.vaddr.0.saturating_add(e.pages.saturating_mul(page)).min(o.size));
    Ok(joined(stored.map(|(e, _)| range(e)).filter(|(start, end)| start < end).collect()))
}

/// Calls `take` with each piece of a range of an object, and where it stands.
fn pieces(
    opened: &Opened,
    o: &Object,
    (start, end): (u64, u64),
    mut take: impl FnMut(u64, &[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let image = opened.ice.part(Profile::Freeze).and_then(|p| p.image.as_ref());
    let mut memory = image.context("no .freeze")?.memory(o.id)?;
    let mut bytes = vec![0; (end - start).min(PIECE) as usize];
    let mut here = start;
    while here < end {
        let n = (end - here).min(PIECE) as usize;
        let got = memory.read(here, &mut bytes[..n])?;
        anyhow::ensure!(got > 0, "object {}: nothing at {here:#x}", o.id);
        take(here, &bytes[..got])?;
        here += got as u64;
    }
    Ok(())
}

/// A file with the object's content, and holes where it has them.
pub fn sparse(opened: &Opened, o: &Object, file: &mut File) -> anyhow::Result<()> {
    for range in stored(opened, o)? {
        pieces(opened, o, range, |at, bytes| Ok(file.write_all_at(bytes, at)?))?;
    }
    Ok(file.set_len(o.size)?)
}

/// What a descriptor refers to.
fn description(opened: &Opened, owner: u64, fd: u32) -> anyhow::Result<u64> {
    let table = opened.ice.get::<Descriptors>(owner);
    let table = table.context("no descriptors in these files: they are in the .frost")?;
    let d = table.descriptors.iter().find(|d| d.fd == fd);
    Ok(d.with_context(|| format!("there is no descriptor {fd}"))?.description)
}

/// What waits in a pipe, or at an end of one.
fn descriptor(opened: &Opened, owner: u64, fd: u32, out: &mut dyn Write) -> anyhow::Result<()> {
    let (ice, description) = (&opened.ice, description(opened, owner, fd)?);
    let pipe = ice.get::<PipeEnd>(description).map_or(description, |end| end.pipe);
    if let Some(pipe) = ice.get::<Pipe>(pipe) {
        return Ok(pipe.content.iter().try_for_each(|c| out.write_all(c))?);
    }
    if let Some(unread) = ice.get::<Unread>(description) {
        return Ok(out.write_all(&unread.content)?);
    }
    bail!("descriptor {fd} is neither a file in the image nor a pipe")
}
