//! The pages of one owner: which there are, and what is in them (spec/07-memory.md).

use std::fs::File;
use std::sync::Arc;

use crate::error::{Error, Place, Result};
use crate::image::{Image, ReadAt};
use crate::index::IndexEntry;
use crate::kind::Kind;
use crate::rules::{Rule, ensure};
use crate::section::Section;
use crate::section::extents::{Content, Extent, Extents};

impl<R: ReadAt> Image<R> {
    /// The memory of a process or an object: its extents, loaded; its pages are read when they are asked for.
    pub fn memory(&self, owner: u64) -> Result<Memory<'_, R>> {
        Memory::new(self, owner)
    }

    /// Reads memory of a process (or bytes of an object) from `vaddr`, and gives how many bytes of `out` are filled: fewer than asked for
    /// where the image says nothing about what follows. For many reads keep a [`Memory`].
    pub fn read_memory(&self, owner: u64, vaddr: u64, out: &mut [u8]) -> Result<usize> {
        self.memory(owner)?.read(vaddr, out)
    }
}

/// The extents of a process or an object, in ascending order, with the DATA chunks that they refer to.
pub struct Memory<'a, R = File> {
    image: &'a Image<R>,
    batches: Arc<[Batch]>,
    /// The DATA chunk that was read last.
    cache: Option<(u64, Vec<u8>)>,
    /// The same owner's in the parent, if some of its pages are there and it was opened.
    below: Option<Box<Memory<'a, R>>>,
}

/// An EXTS chunk and its DATA chunk.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The extents.
    pub extents: Extents,
    /// Where their pages are; `None` if it has none.
    pub data: Option<IndexEntry>,
}

impl Batch {
    /// The extent that covers `vaddr`.
    fn find(&self, vaddr: u64, page: u64) -> Option<&Extent> {
        let n = self.extents.extents.partition_point(|e| e.vaddr.0 <= vaddr);
        let e = self.extents.extents.get(n.checked_sub(1)?)?;
        (vaddr - e.vaddr.0 < e.pages * page).then_some(e)
    }
}

impl<'a, R: ReadAt> Memory<'a, R> {
    pub(crate) fn new(image: &'a Image<R>, owner: u64) -> Result<Self> {
        let page = image.header().page_size();
        let mut batches = Vec::new();
        let mut end = 0;
        let chunks = image.chunks();
        for (i, entry) in chunks.iter().enumerate() {
            if entry.kind != Extents::KIND || entry.owner != owner {
                continue;
            }
            let extents: Extents = image.section(entry)?;
            end = extents.check(page, end).map_err(|v| image.broken(entry, v))?;
            let data = if extents.data_pages == 0 {
                None
            } else {
                let next = chunks
                    .get(i + 1)
                    .filter(|d| d.kind == Kind::DATA && d.owner == owner && d.raw == extents.data_pages * page);
                let check = ensure(next.is_some(), Rule::DATA_FOLLOWS, || {
                    format!("it announces {} pages, and no such DATA follows", extents.data_pages)
                });
                check.map_err(|v| image.broken(entry, v))?;
                next.copied()
            };
            if !extents.extents.is_empty() {
                batches.push(Batch { extents, data });
            }
        }
        let elsewhere = |b: &Batch| b.extents.extents.iter().any(|e| e.content == Content::PARENT);
        let below = image.below().filter(|_| batches.iter().any(elsewhere));
        let below = below.and_then(|b| Some((&b.image, b.parent.of(owner)?)));
        let below = below.map(|(image, owner)| Self::new(image, owner)).transpose()?.map(Box::new);
        Ok(Self { image, batches: batches.into(), cache: None, below })
    }

    /// The same once more, for another thread.
    #[must_use]
    pub fn again(&self) -> Self {
        let below = self.below.as_ref().map(|b| Box::new(b.again()));
        Self { image: self.image, batches: Arc::clone(&self.batches), cache: None, below }
    }

    /// Can pages that are with the parent be read?
    pub fn has_parent(&self) -> bool {
        self.below.is_some()
    }

    /// The bytes that are stored from the page at `vaddr` on, as far as they stand together, and how; none where there are none, or zeros. Pages that
    /// are with the parent are read there.
    pub fn stored(&mut self, vaddr: u64) -> Result<Option<(Content, &[u8])>> {
        let page = self.image.header().page_size();
        let Some((e, data)) = self.find(vaddr, page) else { return Ok(None) };
        let into = vaddr - e.vaddr.0;
        let rest = (e.pages * page - into) as usize;
        match (e.content, data) {
            (Content::DATA | Content::FILE_DATA, Some(entry)) => {
                let start = (e.reference * page + into) as usize;
                Ok(Some((e.content, &self.load(&entry)?[start..start + rest])))
            }
            (Content::PARENT, _) => match &mut self.below {
                Some(below) => {
                    let found = below.stored(vaddr)?;
                    Ok(found.map(|(content, bytes)| (content, &bytes[..rest.min(bytes.len())])))
                }
                None => Ok(None),
            },
            _ => Ok(None),
        }
    }

    /// What the image says of the page at `vaddr`, and of how many bytes from there on: as [`Memory::stored`] finds them, or zeros; none where it says nothing.
    /// No page is read.
    pub fn content(&self, vaddr: u64) -> Option<(Content, u64)> {
        let page = self.image.header().page_size();
        let (e, _) = self.find(vaddr, page)?;
        let rest = e.pages * page - (vaddr - e.vaddr.0);
        match e.content {
            Content::PARENT => {
                let (content, len) = self.below.as_ref()?.content(vaddr)?;
                Some((content, len.min(rest)))
            }
            content => Some((content, rest)),
        }
    }

    /// The extent that covers `vaddr`, and the chunk with its pages.
    fn find(&self, vaddr: u64, page: u64) -> Option<(Extent, Option<IndexEntry>)> {
        let i = self.batches.partition_point(|b| b.extents.extents.first().is_some_and(|e| e.vaddr.0 <= vaddr));
        let batch = self.batches.get(i.checked_sub(1)?)?;
        Some((batch.find(vaddr, page)?.clone(), batch.data))
    }

    /// The batches, in ascending order of addresses.
    pub fn batches(&self) -> &[Batch] {
        &self.batches
    }

    /// Every extent, in ascending order, with the DATA chunk that it refers to.
    pub fn extents(&self) -> impl Iterator<Item = (&Extent, Option<&IndexEntry>)> {
        self.batches.iter().flat_map(|b| b.extents.extents.iter().map(move |e| (e, b.data.as_ref())))
    }

    /// Fills `out` with what stands at `vaddr`, and gives how many bytes it could fill: fewer than asked for where no extent covers
    /// what follows.
    pub fn read(&mut self, vaddr: u64, out: &mut [u8]) -> Result<usize> {
        let page = self.image.header().page_size();
        let mut done = 0;
        while done < out.len() {
            let Some(here) = vaddr.checked_add(done as u64) else { break };
            let Some((e, data)) = self.find(here, page) else { break };
            let into = here - e.vaddr.0;
            let n = (e.pages * page - into).min((out.len() - done) as u64) as usize;
            let part = &mut out[done..done + n];
            match (e.content, data) {
                (Content::DATA | Content::FILE_DATA, Some(entry)) => {
                    let start = (e.reference * page + into) as usize;
                    if start == 0 && n as u64 == entry.raw {
                        // All of it: nothing is left that somebody else would ask for.
                        self.image.data(&entry, part)?;
                    } else {
                        let bytes = self.load(&entry)?;
                        // `check` has compared the reference with the chunk's length.
                        part.copy_from_slice(&bytes[start..start + n]);
                    }
                }
                (Content::PARENT, _) => {
                    let got = self.below.as_mut().map_or(Ok(0), |below| below.read(here, part))?;
                    if got < n {
                        let what = format!("the page at {:#x} is with the parent, and not there", here + got as u64);
                        let place = Place { file: self.image.name().to_owned(), kind: Some(Extents::KIND), offset: 0 };
                        return Err(Error::Broken { place, violation: Rule::PARENT.broken(what) });
                    }
                }
                _ => part.fill(0),
            }
            done += n;
        }
        Ok(done)
    }

    fn load(&mut self, entry: &IndexEntry) -> Result<&[u8]> {
        let cached = self.cache.as_ref().is_some_and(|(at, _)| *at == entry.offset);
        let bytes = match self.cache.take() {
            Some((_, bytes)) if cached => bytes,
            old => {
                let mut bytes = old.map(|(_, b)| b).unwrap_or_default();
                bytes.resize(entry.raw as usize, 0);
                self.image.data(entry, &mut bytes)?;
                bytes
            }
        };
        Ok(&self.cache.insert((entry.offset, bytes)).1)
    }
}
