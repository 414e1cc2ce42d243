//! The writer: one pass, no seeking, nothing held back but one chunk (spec/12-streaming.md).

use std::io::{self, Write};

use crate::chunk::{CHUNK_HEADER_LEN, ChunkFlags, ChunkHeader};
use crate::error::{Error, Place, Result};
use crate::header::{HEADER_LEN, Header};
use crate::index::{End, Footer, Index, IndexEntry, STRUCTURAL_VERSION};
use crate::kind::Kind;
use crate::limits::{INDEX_BATCH, MAX_DATA, WRITE_BATCH};
use crate::prim::{List, Raw};
use crate::root::RootHasher;
use crate::section::extents::{Extent, Extents};
use crate::section::{AnySection, Section};

/// Writes one file to anything that takes bytes.
///
/// Small chunks are gathered before they are written, page data goes out straight from the caller's memory. A writer that is dropped
/// without [`Writer::finish`] leaves a file without END, which every reader calls truncated.
pub struct Writer<W> {
    out: W,
    header: Header,
    /// Chunks not yet handed to `out`.
    buffer: Vec<u8>,
    /// Offset of the next byte, counting `buffer`.
    offset: u64,
    chunks: u64,
    root: RootHasher,
    index: Vec<IndexEntry>,
    previous_index: u64,
}

impl<W: Write> Writer<W> {
    /// Begins a file.
    pub fn new(out: W, header: &Header) -> Result<Self> {
        let bytes = header.to_bytes();
        Header::from_bytes(&bytes).map_err(|e| unwritable("the header", e.detail))?;
        Ok(Self {
            out,
            header: header.clone(),
            buffer: bytes.to_vec(),
            offset: HEADER_LEN as u64,
            chunks: 0,
            root: RootHasher::new(&bytes),
            index: Vec::new(),
            previous_index: 0,
        })
    }

    /// The header that was given.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Bytes written so far.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Writes a section. `owner` is what the registry says: a process, a thread, ..., 0 for the image.
    pub fn section<S: Section>(&mut self, owner: u64, section: &S) -> Result<()> {
        if S::PROFILE != self.header.profile {
            return Err(unwritable(
                S::KIND,
                format!("it belongs into the .{}, this is the .{}", S::PROFILE, self.header.profile),
            ));
        }
        section.validate().map_err(|e| unwritable(S::KIND, e.to_string()))?;
        self.chunk(S::KIND, S::VERSION, S::FLAGS, owner, |out| section.append_payload(out))
    }

    /// Writes a section whose type is known only at run time.
    pub fn any(&mut self, owner: u64, section: &AnySection) -> Result<()> {
        let info = section.info().ok_or_else(|| unwritable("a chunk", "it is not a section"))?;
        if info.profile != self.header.profile {
            return Err(unwritable(
                info.kind,
                format!("it belongs into the .{}, this is the .{}", info.profile, self.header.profile),
            ));
        }
        section.validate().map_err(|e| unwritable(info.kind, e.to_string()))?;
        self.chunk(info.kind, info.version, info.flags, owner, |out| section.append_payload(out))
    }

    /// Copies a chunk that this program does not know. Editors may do so if its flags say `SAFE_TO_COPY`.
    pub fn opaque(&mut self, kind: Kind, version: u16, flags: ChunkFlags, owner: u64, payload: &[u8]) -> Result<()> {
        if kind.is_structural() {
            return Err(unwritable(kind, "the writer makes these itself"));
        }
        self.chunk(kind, version, flags, owner, |out| out.extend_from_slice(payload))
    }

    /// Copies a chunk of another file, with its payload as it is stored there.
    pub fn copied(&mut self, chunk: &ChunkHeader, stored: &[u8]) -> Result<()> {
        if chunk.kind != Kind::DATA {
            return self.opaque(chunk.kind, chunk.version, chunk.flags, chunk.owner, stored);
        }
        if !chunk.is_compressed() {
            self.align(self.header.page_size())?;
        }
        self.data(chunk, stored)
    }

    /// Writes a batch of extents, and the pages that they refer to: at most 1 MiB, whole pages, straight from `data`.
    ///
    /// `digest` is [`crate::digest`] of `data`, or `None` where digests are switched off.
    pub fn pages(&mut self, owner: u64, extents: &[Extent], data: &[u8], digest: Option<Raw<32>>) -> Result<()> {
        self.batch(owner, extents, data.len() as u64, data, digest)
    }

    /// [`Writer::pages`] whose `raw` bytes were compressed: `frame` is what [`codec::compress`](crate::codec::compress) made of them.
    /// `digest` is that of the pages, before.
    pub fn compressed_pages(
        &mut self,
        owner: u64,
        extents: &[Extent],
        raw: u64,
        frame: &[u8],
        digest: Option<Raw<32>>,
    ) -> Result<()> {
        if frame.len() as u64 >= raw {
            return Err(unwritable(Kind::DATA, format!("{} bytes compressed, of {raw}", frame.len())));
        }
        self.batch(owner, extents, raw, frame, digest)
    }

    /// `len` bytes of pages, stored in `data`: compressed, if that is shorter.
    fn batch(&mut self, owner: u64, extents: &[Extent], len: u64, data: &[u8], digest: Option<Raw<32>>) -> Result<()> {
        let page = self.header.page_size();
        if len > MAX_DATA || !len.is_multiple_of(page) {
            return Err(unwritable(Kind::DATA, format!("{len} bytes are not whole pages of {page} up to {MAX_DATA}")));
        }
        let digest = if len == 0 { Raw::default() } else { digest.unwrap_or_default() };
        let section = Extents { digest, data_pages: len / page, extents: extents.to_vec().into() };
        section.check(page, 0).map_err(|e| unwritable(Extents::KIND, e.to_string()))?;
        self.section(owner, &section)?;
        if len == 0 {
            return Ok(());
        }
        let (kind, flags) = (Kind::DATA, ChunkFlags::CRITICAL);
        let header = if data.len() as u64 == len {
            // So that it can be mapped and spliced.
            self.align(page)?;
            ChunkHeader::stored(kind, STRUCTURAL_VERSION, flags, owner, data)
        } else {
            ChunkHeader::compressed(kind, STRUCTURAL_VERSION, flags, owner, data, len)
        };
        self.data(&header, data)
    }

    /// A DATA chunk: its pages go out straight from the caller's memory.
    fn data(&mut self, header: &ChunkHeader, data: &[u8]) -> Result<()> {
        self.index.push(IndexEntry::new(header, self.offset));
        let bytes = header.to_bytes();
        self.root.chunk(header, &bytes, &[]);
        self.buffer.extend_from_slice(&bytes);
        self.chunks += 1;
        self.flush()?;
        self.out.write_all(data).map_err(|e| self.io(e))?;
        self.buffer.resize(header.padding() as usize, 0);
        self.offset += header.span();
        self.index_if_full()
    }

    /// Ends the file. Gives back what was written to, and the root.
    pub fn finish(mut self) -> Result<(W, Raw<32>)> {
        // Every file has one, if only to say that there is nothing.
        if !self.index.is_empty() || self.previous_index == 0 {
            self.write_index()?;
        }
        let root = self.root.finish();
        let footer = Footer { index: self.previous_index, end: self.offset };
        let end = End { root, chunks: self.chunks };
        self.chunk(Kind::END, STRUCTURAL_VERSION, ChunkFlags::CRITICAL, 0, |out| {
            out.extend_from_slice(&end.to_payload());
        })?;
        self.buffer.extend_from_slice(&footer.to_bytes());
        self.flush()?;
        self.out.flush().map_err(|e| self.io(e))?;
        Ok((self.out, root))
    }

    /// A PAD chunk, if the payload of the next chunk would not begin at a multiple of `page`.
    fn align(&mut self, page: u64) -> Result<()> {
        let header = CHUNK_HEADER_LEN as u64;
        if (self.offset + header).is_multiple_of(page) {
            return Ok(());
        }
        let zeros = (self.offset + 2 * header).wrapping_neg() % page;
        self.chunk(Kind::PAD, STRUCTURAL_VERSION, ChunkFlags::NONE, 0, |out| out.resize(out.len() + zeros as usize, 0))
    }

    fn chunk(
        &mut self,
        kind: Kind,
        version: u16,
        flags: ChunkFlags,
        owner: u64,
        payload: impl FnOnce(&mut Vec<u8>),
    ) -> Result<()> {
        let start = self.buffer.len();
        let body = start + CHUNK_HEADER_LEN;
        self.buffer.resize(body, 0);
        payload(&mut self.buffer);
        let header = ChunkHeader::stored(kind, version, flags, owner, &self.buffer[body..]);
        if header.stored > header.limit() {
            self.buffer.truncate(start);
            return Err(unwritable(kind, format!("{} bytes are above the limit of {}", header.stored, header.limit())));
        }
        let bytes = header.to_bytes();
        self.buffer[start..body].copy_from_slice(&bytes);
        self.root.chunk(&header, &bytes, &self.buffer[body..]);
        self.buffer.resize(start + header.span() as usize, 0);
        if !matches!(kind, Kind::PAD | Kind::INDX | Kind::END) {
            self.index.push(IndexEntry::new(&header, self.offset));
        }
        self.offset += header.span();
        self.chunks += 1;
        if self.buffer.len() >= WRITE_BATCH {
            self.flush()?;
        }
        // PAD must be followed by its DATA, so the index waits.
        if kind == Kind::PAD { Ok(()) } else { self.index_if_full() }
    }

    fn index_if_full(&mut self) -> Result<()> {
        // An index must not stand between EXTS and its DATA either.
        let between = self.index.last().is_some_and(|e| e.kind == Extents::KIND);
        if self.index.len() >= INDEX_BATCH && !between { self.write_index() } else { Ok(()) }
    }

    fn write_index(&mut self) -> Result<()> {
        let index = Index { previous: self.previous_index, entries: List(std::mem::take(&mut self.index)) };
        self.previous_index = self.offset;
        self.chunk(Kind::INDX, STRUCTURAL_VERSION, ChunkFlags::NONE, 0, |out| {
            out.extend_from_slice(&index.to_payload());
        })
    }

    fn flush(&mut self) -> Result<()> {
        let result = self.out.write_all(&self.buffer);
        self.buffer.clear();
        result.map_err(|e| self.io(e))
    }

    fn io(&self, error: io::Error) -> Error {
        let file = format!("the .{}", self.header.profile);
        Error::Io { place: Place { file, kind: None, offset: self.offset }, error }
    }
}

fn unwritable(what: impl Into<String>, why: impl Into<String>) -> Error {
    Error::Unwritable { what: what.into(), why: why.into() }
}
