//! A set taken apart, and put together again with everything that can be computed made right: checksums, alignment, index, roots, and what LINK
//! and EXTS say of them.

use std::path::Path;

use anyhow::Context;
use cryo_format::chunk::{ChunkFlags, ChunkHeader};
use cryo_format::header::HEADER_LEN;
use cryo_format::index::{FOOTER_LEN, Footer};
use cryo_format::read::Stream;
use cryo_format::section::Section;
use cryo_format::section::extents::Extents;
use cryo_format::section::link::Link;
use cryo_format::{Kind, codec, set};

/// The files, in the order of a pipe: .frore, .frost, .freeze. Or any others.
#[derive(Clone, Default)]
pub struct Set {
    /// The files.
    pub files: Vec<File>,
}

/// A file without what the container adds (PAD, INDX, END, footer).
#[derive(Clone)]
pub struct File {
    /// Its header as it stands there; the checksum is made right.
    pub header: [u8; HEADER_LEN],
    /// Its chunks.
    pub chunks: Vec<Chunk>,
}

/// A chunk; lengths and checksums are made right.
#[derive(Clone)]
pub struct Chunk {
    /// Kind.
    pub kind: Kind,
    /// Version.
    pub version: u16,
    /// Flags.
    pub flags: ChunkFlags,
    /// Owner.
    pub owner: u64,
    /// Payload.
    pub payload: Vec<u8>,
    /// Of compressed pages: what the chunk says that they are.
    pub raw: Option<u64>,
    /// Of DATA: the EXTS before it gets the digest of it.
    pub digest: bool,
}

/// Offset of the page shift in a header.
const PAGE_SHIFT: usize = 0x30;
/// Offset of the set id.
const SET_ID: usize = 0x20;

impl Set {
    /// From what a pipe brings, as far as it can be read.
    pub fn read(mut bytes: &[u8]) -> Self {
        let mut files = Vec::new();
        while let Some(header) = bytes.first_chunk::<HEADER_LEN>() {
            let Ok(mut stream) = Stream::new(bytes) else { break };
            let mut chunks = Vec::new();
            let whole = loop {
                let Ok(next) = stream.next() else { break false };
                let Some(mut chunk) = next else { break true };
                let h = *chunk.header();
                if matches!(h.kind, Kind::PAD | Kind::INDX) {
                    continue;
                }
                let mut payload = chunk.payload().to_vec();
                if h.kind == Kind::DATA && chunk.data(&mut payload).is_err() {
                    break false;
                }
                let ChunkHeader { kind, version, owner, .. } = h;
                let flags = h.flags.of_kind();
                let mut chunk = Chunk { kind, version, flags, owner, payload, raw: None, digest: true };
                if h.is_compressed() {
                    chunk.compress();
                }
                chunks.push(chunk);
            };
            files.push(File { header: *header, chunks });
            if !whole {
                break;
            }
            bytes = stream.into_inner();
        }
        Self { files }
    }

    /// From NAME.freeze and its siblings.
    pub fn open(name: &Path) -> anyhow::Result<Self> {
        let parts = set::paths(name).map(|(_, path)| std::fs::read(&path).with_context(|| path.display().to_string()));
        let [a, b, c] = parts;
        Ok(Self::read(&[a?, b?, c?].concat()))
    }

    /// Over NAME.freeze and its siblings.
    pub fn store(&self, name: &Path) -> anyhow::Result<()> {
        for ((_, path), bytes) in set::paths(name).iter().zip(self.build()) {
            std::fs::write(path, bytes).with_context(|| path.display().to_string())?;
        }
        Ok(())
    }

    /// The chunk of this kind, the first one.
    pub fn chunk(&mut self, kind: Kind) -> anyhow::Result<&mut Chunk> {
        let mut all = self.files.iter_mut().flat_map(|f| &mut f.chunks);
        all.find(|c| c.kind == kind).with_context(|| format!("there is no {kind}"))
    }

    /// Changes the first section of a kind.
    pub fn edit<S: Section>(&mut self, change: impl FnOnce(&mut S)) -> anyhow::Result<()> {
        let chunk = self.chunk(S::KIND)?;
        let mut section = S::from_payload(&chunk.payload).map_err(anyhow::Error::new)?;
        change(&mut section);
        chunk.payload.clear();
        section.append_payload(&mut chunk.payload);
        Ok(())
    }

    /// Adds a section behind all others of its file.
    pub fn push<S: Section>(&mut self, owner: u64, section: &S) {
        let mut payload = Vec::new();
        section.append_payload(&mut payload);
        let chunk =
            Chunk { kind: S::KIND, version: S::VERSION, flags: S::FLAGS, owner, payload, raw: None, digest: true };
        let profile = |f: &File| f.header[9] == S::PROFILE as u8;
        if let Some(file) = self.files.iter_mut().find(|f| profile(f)) {
            file.chunks.push(chunk);
        }
    }

    /// The bytes of each file.
    pub fn build(&self) -> Vec<Vec<u8>> {
        let mut done: Vec<(Vec<u8>, [u8; 32])> = Vec::new();
        for file in &self.files {
            let mut file = file.clone();
            if let (Some(frore), [first, second, ..]) = (self.files.first(), done.as_slice())
                && let Some(link) = file.chunks.iter_mut().find(|c| c.kind == Link::KIND && c.payload.len() == 80)
            {
                let id = &frore.header[SET_ID..SET_ID + 16];
                link.payload = [id, &first.1[..], &second.1[..]].concat();
            }
            done.push(file.build());
        }
        done.into_iter().map(|(bytes, _)| bytes).collect()
    }

    /// What a pipe brings.
    pub fn bytes(&self) -> Vec<u8> {
        self.build().concat()
    }
}

impl Chunk {
    /// Compresses its pages, if that makes them less.
    pub fn compress(&mut self) {
        if let Some(frame) = codec::compress(&self.payload, codec::DEFAULT_LEVEL) {
            self.raw = Some(self.payload.len() as u64);
            self.flags = ChunkFlags(self.flags.0 | ChunkFlags::ZSTD.0);
            self.payload = frame;
        }
    }
}

impl File {
    /// The bytes, and the root.
    fn build(&self) -> (Vec<u8>, [u8; 32]) {
        let mut out = self.header.to_vec();
        let crc = crc32c::crc32c(&out[..HEADER_LEN - 4]);
        out[HEADER_LEN - 4..].copy_from_slice(&crc.to_le_bytes());
        let mut root = blake3::Hasher::new();
        root.update(&out);
        let (mut entries, mut listed, mut count) = (Vec::new(), 0_u64, 0_u64);
        for (i, chunk) in self.chunks.iter().enumerate() {
            if chunk.kind == Kind::DATA {
                let page = 1_u64 << self.header[PAGE_SHIFT].clamp(12, 16);
                // Behind a PAD's header and its own.
                let zeros = (out.len() as u64 + 96).wrapping_neg() % page;
                let pad = header(Kind::PAD, 1, ChunkFlags::NONE, 0, &vec![0; zeros as usize]);
                push(&mut out, &pad.to_bytes(), &vec![0; zeros as usize]);
                count += 1;
            }
            let mut payload = chunk.payload.clone();
            let data = self.chunks.get(i + 1).filter(|d| d.kind == Kind::DATA && d.digest);
            // That of compressed pages was right before, or is wrong.
            if let (Extents::KIND, Some(data), Some(digest)) = (chunk.kind, data, payload.get_mut(..32))
                && data.raw.is_none()
                && digest != [0; 32]
            {
                digest.copy_from_slice(blake3::hash(&data.payload).as_bytes());
            }
            let mut h = header(chunk.kind, chunk.version, chunk.flags, chunk.owner, &payload);
            h.raw = chunk.raw.unwrap_or(h.raw);
            let head = h.to_bytes();
            root.update(&head);
            if chunk.kind != Kind::DATA {
                root.update(&payload);
            }
            entries.extend_from_slice(&head[..16]);
            entries.extend_from_slice(&(out.len() as u64).to_le_bytes());
            entries.extend_from_slice(&head[16..36]);
            entries.extend_from_slice(&[0; 4]);
            (listed, count) = (listed + 1, count + 1);
            push(&mut out, &head, &payload);
        }
        let root = *root.finalize().as_bytes();
        let index = [&0_u64.to_le_bytes()[..], &listed.to_le_bytes(), &entries].concat();
        let footer = out.len() as u64;
        push(&mut out, &header(Kind::INDX, 1, ChunkFlags::NONE, 0, &index).to_bytes(), &index);
        let end = [&root[..], &(count + 1).to_le_bytes()].concat();
        let footer = Footer { index: footer, end: out.len() as u64 };
        push(&mut out, &header(Kind::END, 1, ChunkFlags::CRITICAL, 0, &end).to_bytes(), &end);
        out.extend_from_slice(&footer.to_bytes());
        debug_assert!(out.len() > FOOTER_LEN);
        (out, root)
    }
}

fn header(kind: Kind, version: u16, flags: ChunkFlags, owner: u64, payload: &[u8]) -> ChunkHeader {
    ChunkHeader::stored(kind, version, flags, owner, payload)
}

fn push(out: &mut Vec<u8>, head: &[u8], payload: &[u8]) {
    out.extend_from_slice(head);
    out.extend_from_slice(payload);
    out.resize(out.len().next_multiple_of(8), 0);
}
