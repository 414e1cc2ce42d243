//! A set, written anew with something changed. The .freeze gets its name last, and no file takes the place of another: until then there is no new set.

use std::collections::HashMap;
use std::collections::hash_map::Entry::{Occupied, Vacant};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, bail, ensure};
use cryo_format::chunk::ChunkFlags;
use cryo_format::image::Image;
use cryo_format::limits::MAX_DATA;
use cryo_format::memory::Memory;
use cryo_format::prim::{Addr, Raw};
use cryo_format::section::extents::{Content, Extent, Extents};
use cryo_format::section::link::Link;
use cryo_format::section::notes::{Note, Notes};
use cryo_format::section::parent::ParentSet;
use cryo_format::section::{AnySection, Section};
use cryo_format::write::Writer;
use cryo_format::{Header, Kind, Profile, codec, digest, set};

use crate::ice::Ice;
use crate::source::Source;

/// What is changed.
pub trait Change {
    /// Changes a section; says whether it did.
    fn section(&mut self, owner: u64, section: &mut AnySection) -> bool;

    /// Is it no change at all?
    fn is_nothing(&self) -> bool {
        false
    }

    /// Do sections that nobody here knows go along, as the state that they describe is the same?
    fn keeps_all(&self) -> bool {
        self.is_nothing()
    }

    /// What the notes of the new set say besides.
    fn note(&self) -> Option<Note> {
        None
    }

    /// Is this page of an owner (of a process by its address, of an object by its offset) left out? What was there is zero then.
    fn wipes(&mut self, owner: u64, addr: u64) -> bool {
        let _ = (owner, addr);
        false
    }

    /// Changes the bytes of a page; says whether it did.
    fn page(&mut self, owner: u64, addr: u64, bytes: &mut [u8]) -> bool {
        let _ = (owner, addr, bytes);
        false
    }
}

/// May a section go along whose kind nobody here knows? What changes a set may not take it for right (spec/01-scope.md), unless it says so itself.
fn goes_along(section: &AnySection, flags: ChunkFlags, change: &dyn Change) -> bool {
    !matches!(section, AnySection::Unknown(_)) || flags.0 & ChunkFlags::SAFE_TO_COPY.0 != 0 || change.keeps_all()
}

/// Nothing is changed: the files are the same but for their indexes.
pub struct Same;

impl Change for Same {
    fn is_nothing(&self) -> bool {
        true
    }

    fn section(&mut self, _: u64, _: &mut AnySection) -> bool {
        false
    }
}

/// Writes the set NAME with these changes. `same_ids`: it stays the set that it was.
pub fn write(ice: &Ice, name: &Path, change: &mut dyn Change, same_ids: bool) -> anyhow::Result<()> {
    let ids = if same_ids { None } else { Some([random()?, random()?]) };
    let image = |profile: Profile| -> anyhow::Result<&Image<Source>> {
        let part = ice.part(profile).with_context(|| format!("there is no .{profile}, and all three are needed: name the set, NAME or NAME.freeze, and not one file of it"))?;
        part.image.as_ref().with_context(|| format!("{}: cannot be read at random", part.name))
    };
    let header = |profile: Profile| {
        let mut header = image(profile)?.header().clone();
        if let Some([template, set]) = ids {
            header.set = if profile == Profile::Frore { template } else { set };
        }
        Ok(header)
    };
    if !change.is_nothing() {
        // A damaged set must not become one that verifies.
        for (profile, _) in set::paths(name) {
            image(profile)?.check()?;
        }
    }
    files(name, header, |profile, writer, link| copy(image(profile)?, writer, change, link))
}

/// Writes one file of a set, which is to say of itself what `header` says; `content` writes it, and for the .freeze is told what its LINK has to say.
/// The files take their names when all of them are complete.
pub fn files(
    name: &Path,
    header: impl Fn(Profile) -> anyhow::Result<Header>,
    mut content: impl FnMut(Profile, &mut Writer<BufWriter<&mut File>>, &Link) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let all = set::paths(name);
    for (_, path) in &all {
        ensure!(!path.exists(), "{} is there already: choose another NAME", path.display());
    }
    let beside = name.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut link = Link::default();
    let mut written = Vec::new();
    for (profile, path) in &all {
        let header = header(*profile)?;
        let mut file = tempfile::NamedTempFile::new_in(beside).with_context(|| beside.display().to_string())?;
        let mut writer = Writer::new(BufWriter::new(file.as_file_mut()), &header)?;
        content(*profile, &mut writer, &link)?;
        let root = writer.finish()?.1;
        match profile {
            Profile::Frore => (link.frore_set, link.frore_root) = (header.set, root),
            Profile::Frost => link.frost_root = root,
            Profile::Freeze => {}
        }
        file.as_file().sync_all().with_context(|| path.display().to_string())?;
        written.push((file, path));
    }
    for (file, path) in written {
        file.persist_noclobber(path).map_err(|e| e.error).with_context(|| path.display().to_string())?;
    }
    File::open(beside).and_then(|dir| dir.sync_all()).with_context(|| beside.display().to_string())
}

/// An id for a file of a set.
pub fn random() -> anyhow::Result<Raw<16>> {
    let mut id = [0; 16];
    rustix::rand::getrandom(&mut id, rustix::rand::GetRandomFlags::empty()).context("getting random bits")?;
    Ok(Raw(id))
}

fn copy<W: Write>(
    image: &Image<Source>,
    writer: &mut Writer<W>,
    change: &mut dyn Change,
    link: &Link,
) -> anyhow::Result<()> {
    let chunks = image.chunks();
    // What is with a parent stays there only where nothing is changed: a page that is to be left out would still be in the parent.
    let mut memories: HashMap<u64, Memory<'_, Source>> = HashMap::new();
    let whole = !change.is_nothing();
    let compressed = std::iter::once(image)
        .chain(image.ancestors())
        .any(|image| image.chunks().iter().any(|chunk| chunk.header().is_compressed()));
    let mut note = change.note().filter(|_| image.header().profile == Profile::Frost);
    let mut i = 0;
    while let Some(entry) = chunks.get(i) {
        i += 1;
        if entry.kind == Extents::KIND && entry.version == Extents::VERSION {
            let extents: Extents = image.section(entry)?;
            let data = chunks.get(i).filter(|d| d.kind == Kind::DATA && extents.data_pages > 0);
            i += usize::from(data.is_some());
            if whole && extents.extents.iter().any(|e| e.content == Content::PARENT) {
                let memory = match memories.entry(entry.owner) {
                    Occupied(memory) => memory.into_mut(),
                    Vacant(place) => place.insert(image.memory(entry.owner)?),
                };
                joined(image, memory, &extents, |extents, bytes| {
                    let extents = Extents { digest: digest(bytes), extents: extents.into(), data_pages: 0 };
                    pages(writer, entry.owner, &extents, bytes, &Stored { compressed, payload: None }, change)
                })?;
                continue;
            }
            let mut bytes = vec![0; data.map_or(0, |d| d.raw as usize)];
            let mut stored = Stored { compressed: false, payload: None };
            if let Some(data) = data {
                image.data(data, &mut bytes)?;
                if data.header().is_compressed() {
                    stored = Stored { compressed: true, payload: Some(image.payload(data)?) };
                }
            }
            pages(writer, entry.owner, &extents, &bytes, &stored, change)?;
            continue;
        }
        if entry.kind == Kind::DATA {
            bail!("{}: pages at {:#x} that no section announces", image.name(), entry.offset);
        }
        if whole && entry.kind == ParentSet::KIND {
            continue;
        }
        let mut section = image.any(entry)?;
        let known = section.info().is_some();
        if let AnySection::Link(old) = &mut section {
            *old = link.clone();
            writer.any(entry.owner, &section)?;
        } else if let (AnySection::Notes(notes), Some(note)) =
            (&mut section, note.take_if(|_| entry.kind == Notes::KIND))
        {
            notes.notes.0.push(note);
            writer.any(entry.owner, &section)?;
        } else if known && change.section(entry.owner, &mut section) {
            writer.any(entry.owner, &section)?;
        } else if goes_along(&section, entry.flags, change) {
            let payload = image.payload(entry)?;
            writer.opaque(entry.kind, entry.version, entry.flags, entry.owner, &payload)?;
        } else {
            crate::say(&format!("{}: a section {} that nobody here knows is left out", image.name(), entry.kind));
        }
    }
    if let Some(note) = note {
        writer.section(0, &Notes { notes: vec![note].into() })?;
    }
    Ok(())
}

/// Gives `take` the extents with their pages, also those that are with the parent, in batches that a chunk can hold.
fn joined(
    image: &Image<Source>,
    memory: &mut Memory<'_, Source>,
    old: &Extents,
    mut take: impl FnMut(Vec<Extent>, &[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let page = image.header().page_size();
    let (mut extents, mut data): (Vec<Extent>, Vec<u8>) = (Vec::new(), Vec::new());
    for e in &old.extents {
        if e.content == Content::ZERO {
            extents.push(e.clone());
            continue;
        }
        let end = e.vaddr.0 + e.pages * page;
        let mut vaddr = e.vaddr.0;
        while vaddr < end {
            if data.len() as u64 == MAX_DATA {
                take(std::mem::take(&mut extents), &data)?;
                data.clear();
            }
            let stored = memory.stored(vaddr)?;
            let (content, bytes) = stored.with_context(|| {
                format!("{}: the page at {vaddr:#x} is with the parent, and not there", image.name())
            })?;
            let n = (end - vaddr).min(bytes.len() as u64).min(MAX_DATA - data.len() as u64);
            let (pages, reference) = (n / page, data.len() as u64 / page);
            data.extend_from_slice(&bytes[..n as usize]);
            extents.push(Extent { vaddr: Addr(vaddr), pages, content, reserved: 0, reference });
            vaddr += n;
        }
    }
    if extents.is_empty() { Ok(()) } else { take(extents, &data) }
}

/// How pages are stored.
struct Stored {
    /// Compressed; so they are again.
    compressed: bool,
    /// As they are; where nothing is changed they are the same to the byte.
    payload: Option<Vec<u8>>,
}

fn pages<W: Write>(
    writer: &mut Writer<W>,
    owner: u64,
    old: &Extents,
    bytes: &[u8],
    stored: &Stored,
    change: &mut dyn Change,
) -> anyhow::Result<()> {
    let page = writer.header().page_size();
    let mut extents: Vec<Extent> = Vec::new();
    let mut data: Vec<u8> = Vec::with_capacity(bytes.len());
    let mut changed = false;
    for e in &old.extents {
        if !matches!(e.content, Content::DATA | Content::FILE_DATA) {
            extents.push(e.clone());
            continue;
        }
        for n in 0..e.pages {
            let vaddr = e.vaddr.0 + n * page;
            if change.wipes(owner, vaddr) {
                changed = true;
                continue;
            }
            let from = ((e.reference + n) * page) as usize;
            let mut one =
                bytes.get(from..from + page as usize).context("pages behind the end of their chunk")?.to_vec();
            let other = change.page(owner, vaddr, &mut one);
            changed |= other;
            let content = if other { Content::DATA } else { e.content };
            let reference = data.len() as u64 / page;
            data.extend(one);
            match extents.last_mut() {
                Some(last)
                    if last.content == content
                        && last.vaddr.0 + last.pages * page == vaddr
                        && last.reference + last.pages == reference =>
                {
                    last.pages += 1;
                }
                _ => extents.push(Extent { vaddr: Addr(vaddr), pages: 1, content, reserved: 0, reference }),
            }
        }
    }
    if !changed {
        let digest = Some(old.digest).filter(|d| d.0 != [0; 32]);
        if let Some(payload) = &stored.payload {
            return Ok(writer.compressed_pages(owner, &old.extents, bytes.len() as u64, payload, digest)?);
        }
        return write_pages(writer, owner, &old.extents, bytes, digest, stored.compressed);
    }
    write_pages(writer, owner, &extents, &data, Some(digest(&data)), stored.compressed)
}

fn write_pages<W: Write>(
    writer: &mut Writer<W>,
    owner: u64,
    extents: &[Extent],
    data: &[u8],
    digest: Option<Raw<32>>,
    compressed: bool,
) -> anyhow::Result<()> {
    let frame = if compressed { codec::compress(data, codec::DEFAULT_LEVEL) } else { None };
    match frame {
        Some(frame) => writer.compressed_pages(owner, extents, data.len() as u64, &frame, digest)?,
        None => writer.pages(owner, extents, data, digest)?,
    }
    Ok(())
}
