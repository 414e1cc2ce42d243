//! The pages of one owner: which there are, and what is in them (spec/07-memory.md).

use std::fs::File;
use std::sync::Arc;

use crate::error::Result;
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
        Ok(Self { image, batches: batches.into(), cache: None })
    }

    /// The same once more, for another thread.
    #[must_use]
    pub fn again(&self) -> Self {
        Self { image: self.image, batches: Arc::clone(&self.batches), cache: None }
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
            let i = self.batches.partition_point(|b| b.extents.extents.first().is_some_and(|e| e.vaddr.0 <= here));
            let batch = i.checked_sub(1).and_then(|i| self.batches.get(i));
            let Some((e, data)) = batch.and_then(|b| Some((b.find(here, page)?.clone(), b.data))) else { break };
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
