//! The reader at random: opens a file through its footer and index, and reads only what is asked for (spec/12-streaming.md).

use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;

use crate::chain::Below;
use crate::chunk::{CHUNK_HEADER_LEN, ChunkHeader};
use crate::codec;
use crate::error::{Error, Place, Result};
use crate::header::{HEADER_LEN, Header, Profile, magic};
use crate::index::{End, FOOTER_LEN, Footer, Index, IndexEntry};
use crate::kind::Kind;
use crate::order::Order;
use crate::prim::Raw;
use crate::read::Stream;
pub use crate::read_at::{ReadAt, Sequential};
use crate::root::RootHasher;
use crate::rules::{Rule, Violation, ensure};
use crate::section::extents::Extents;
use crate::section::touched::Touched;
use crate::section::{self, AnySection, Section};

/// One file of a set, opened.
pub struct Image<R = File> {
    input: R,
    name: String,
    header: Header,
    end: End,
    chunks: Vec<IndexEntry>,
    below: Option<Box<Below<R>>>,
}

impl Image<File> {
    /// Opens a file. Reads its header, footer, END and index, and nothing else.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let (file, name) = open_file(path.as_ref())?;
        Self::new(file, name)
    }

    /// Opens a file whose index or footer is lost or damaged, by walking through the stream. Everything is read and checked, and
    /// nothing else may be damaged. (A damaged header of an INDX chunk ends the walk: what follows cannot be found.)
    pub fn open_by_scan(path: impl AsRef<Path>) -> Result<Self> {
        let (file, name) = open_file(path.as_ref())?;
        Self::scan(file, name)
    }
}

/// Opens a file of a set and says what messages call it. Only a regular file is opened: opening a FIFO waits until somebody writes.
pub fn open_file(path: &Path) -> Result<(File, String)> {
    let name = path.display().to_string();
    let opened = path.metadata().and_then(|about| {
        if about.is_file() { File::open(path) } else { Err(io::Error::other("not a regular file: use - for a pipe")) }
    });
    match opened {
        Ok(file) => Ok((file, name)),
        Err(error) => Err(Error::Io { place: Place { file: name, kind: None, offset: 0 }, error }),
    }
}

impl<R> Image<R> {
    /// The set that has some of its pages, if that was opened ([`crate::chain::attach`]).
    pub fn below(&self) -> Option<&Below<R>> {
        self.below.as_deref()
    }

    pub(crate) fn stand_on(&mut self, below: Below<R>) {
        self.below = Some(Box::new(below));
    }
}

impl<R: ReadAt> Image<R> {
    /// Opens bytes of any kind. `name` is what messages call them.
    pub fn new(input: R, name: impl Into<String>) -> Result<Self> {
        let at = At { input: &input, name: &name.into() };
        let size = at.size()?;
        let header = at.file_header(size)?;
        let tail = size - FOOTER_LEN as u64;
        let footer = Footer::from_bytes(&at.array(tail)?).map_err(|v| {
            // Without a footer the file was cut off or something was appended; only a scan can tell, and `verify` does it.
            let detail = format!("{}: the file is truncated or something was appended to it", v.detail);
            at.broken(None, tail, v.rule.broken(detail))
        })?;
        let payload = at.chunk_at(Kind::END, footer.end, tail)?;
        let end = End::from_payload(&payload).map_err(|v| at.broken(Some(Kind::END), footer.end, v))?;
        let chunks = at.index(&footer, header.profile)?;
        let name = at.name.clone();
        Ok(Self { input, name, header, end, chunks, below: None })
    }

    /// Like [`Image::open_by_scan`].
    pub fn scan(input: R, name: impl Into<String>) -> Result<Self> {
        let name = name.into();
        let place = || Place { file: name.clone(), kind: None, offset: 0 };
        let sequential = Sequential::new(&input).map_err(|error| Error::Io { place: place(), error })?;
        let mut stream = Stream::verifying(BufReader::new(sequential), &name)?;
        let mut chunks = Vec::new();
        loop {
            let entry = stream.next().map(|chunk| chunk.map(|c| IndexEntry::new(c.header(), c.offset())));
            match entry {
                Ok(Some(entry)) if matches!(entry.kind, Kind::PAD | Kind::INDX) => {}
                Ok(Some(entry)) => chunks.push(entry),
                Ok(None) => break,
                // Behind END only the footer is missing.
                Err(Error::Broken { violation, .. }) if stream.end().is_some() && violation.rule == Rule::TRUNCATED => {
                    break;
                }
                Err(e) => return Err(e),
            }
        }
        let redundant = |e: &Error| match e {
            Error::Broken { place, violation } => {
                place.kind == Some(Kind::INDX) || matches!(violation.rule, Rule::FOOTER | Rule::INDEX)
            }
            _ => false,
        };
        if let Some(e) = stream.take_faults().into_iter().find(|e| !redundant(e)) {
            return Err(e);
        }
        let header = stream.header().clone();
        let end = stream.end().copied().unwrap_or_default();
        Ok(Self { input, name, header, end, chunks, below: None })
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The END chunk: root and number of chunks. (The root is what the file says; [`crate::verify`] computes it.)
    pub fn end(&self) -> &End {
        &self.end
    }

    /// What messages call the file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it reads from.
    pub fn input(&self) -> &R {
        &self.input
    }

    /// Every chunk but PAD, INDX and END, in file order.
    pub fn chunks(&self) -> &[IndexEntry] {
        &self.chunks
    }

    /// Refuses a file of another profile.
    pub fn expect(&self, wanted: Profile) -> Result<()> {
        let is = self.header.profile;
        if is == wanted { Ok(()) } else { Err(Error::WrongProfile { file: self.name.clone(), is, wanted }) }
    }

    /// The section of this type that belongs to `owner`.
    pub fn get<S: Section>(&self, owner: u64) -> Result<Option<S>> {
        let mut found = self.chunks.iter().filter(|e| e.kind == S::KIND && e.owner == owner);
        found.next().map(|e| self.section(e)).transpose()
    }

    /// All sections of this type, with their owners, in file order.
    pub fn all<S: Section>(&self) -> Result<Vec<(u64, S)>> {
        let found = self.chunks.iter().filter(|e| e.kind == S::KIND);
        found.map(|e| Ok((e.owner, self.section(e)?))).collect()
    }

    /// The section that `entry` stands for; an older version becomes this one.
    pub fn section<S: Section>(&self, entry: &IndexEntry) -> Result<S> {
        let wrong = || {
            let place = Place { file: self.name.clone(), kind: Some(entry.kind), offset: entry.offset };
            Error::WrongKind { place, wanted: format!("{} version {}", S::KIND, S::VERSION) }
        };
        if entry.kind != S::KIND {
            return Err(wrong());
        }
        let section = S::from_chunk(entry.kind, entry.version, &self.payload(entry)?);
        section.map_err(|v| self.broken(entry, v))?.ok_or_else(wrong)
    }

    /// Whatever `entry` stands for, in the latest version of its kind.
    pub fn any(&self, entry: &IndexEntry) -> Result<AnySection> {
        self.exact(entry).map(AnySection::latest)
    }

    /// Whatever `entry` stands for, in the version that stands in the file: what is written from it are the same bytes.
    pub fn exact(&self, entry: &IndexEntry) -> Result<AnySection> {
        let payload = if entry.kind == Kind::DATA { Vec::new() } else { self.payload(entry)? };
        AnySection::parse(entry.kind, entry.version, &payload).map_err(|v| self.broken(entry, v))
    }

    /// The payload of a chunk as it is stored; its checksum is compared.
    pub fn payload(&self, entry: &IndexEntry) -> Result<Vec<u8>> {
        self.at().payload(entry)
    }

    /// The payload of a DATA chunk, decompressed, into memory of exactly its length; its checksum is compared.
    pub fn data(&self, entry: &IndexEntry, out: &mut [u8]) -> Result<()> {
        if entry.kind != Kind::DATA || out.len() as u64 != entry.raw {
            let place = Place { file: self.name.clone(), kind: Some(entry.kind), offset: entry.offset };
            return Err(Error::WrongKind { place, wanted: format!("{} bytes of DATA", out.len()) });
        }
        if entry.header().is_compressed() {
            return codec::decompress(&self.payload(entry)?, out).map_err(|v| self.broken(entry, v));
        }
        self.at().payload_into(entry, out)
    }

    /// Compares the root, and the order of extents and their DATA, as a [`Stream`] does on its way; of the pages it reads nothing. With what
    /// [`Image::data`] checks, and the digests in EXTS, a file read at random is as sure as one read from end to end.
    pub fn check(&self) -> Result<()> {
        let at = self.at();
        let mut root = RootHasher::new(&at.array(0)?);
        let mut order = Order::default();
        let mut behind = HEADER_LEN as u64;
        for entry in &self.chunks {
            at.between(behind, entry.offset)?;
            let header = entry.header();
            behind = entry.offset.saturating_add(header.span());
            let broken = |v| self.broken(entry, v);
            order.chunk(&header, entry.offset, &self.header).map_err(broken)?;
            let payload = self.hash(entry, &mut root)?;
            if entry.kind == Extents::KIND && entry.version == Extents::VERSION {
                let extents = Extents::from_payload(&payload).map_err(broken)?;
                order.extents(entry.owner, &extents, &self.header).map_err(broken)?;
            }
        }
        let root = root.finish();
        let same = ensure(root == self.end.root, Rule::ROOT, || {
            format!("the root in it is {}, that of the file is {root}", self.end.root)
        });
        // It stands right before the footer.
        let end = at.size()?.saturating_sub((FOOTER_LEN + CHUNK_HEADER_LEN + End::LEN) as u64);
        same.map_err(|v| at.broken(Some(Kind::END), end, v))
    }

    /// The root by which sets that leave pages to this one know it: the one that it has, or would have, without hints (`TCHD`), which may be added at any time.
    pub fn root_as_parent(&self) -> Result<Raw<32>> {
        let is_hint = |entry: &IndexEntry| entry.kind == Touched::KIND;
        if !self.chunks.iter().any(is_hint) {
            return Ok(self.end.root);
        }
        let mut root = RootHasher::new(&self.at().array(0)?);
        for entry in self.chunks.iter().filter(|entry| !is_hint(entry)) {
            self.hash(entry, &mut root)?;
        }
        Ok(root.finish())
    }

    /// Adds a chunk to a root, and returns its payload; of pages none is read.
    fn hash(&self, entry: &IndexEntry, root: &mut RootHasher) -> Result<Vec<u8>> {
        let header = entry.header();
        let payload = if entry.kind == Kind::DATA { Vec::new() } else { self.payload(entry)? };
        root.chunk(&header, &header.to_bytes(), &payload);
        Ok(payload)
    }

    fn at(&self) -> At<'_, R> {
        At { input: &self.input, name: &self.name }
    }

    pub(crate) fn broken(&self, entry: &IndexEntry, violation: Violation) -> Error {
        self.at().broken(Some(entry.kind), entry.offset, violation)
    }
}

/// Reading with names for messages.
struct At<'a, R> {
    input: &'a R,
    name: &'a String,
}

impl<R: ReadAt> At<'_, R> {
    fn broken(&self, kind: Option<Kind>, offset: u64, violation: Violation) -> Error {
        Error::Broken { place: Place { file: self.name.clone(), kind, offset }, violation }
    }

    fn size(&self) -> Result<u64> {
        let place = || Place { file: self.name.clone(), kind: None, offset: 0 };
        self.input.size().map_err(|error| Error::Io { place: place(), error })
    }

    fn read(&self, kind: Option<Kind>, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.input.read_exact_at(buf, offset).map_err(|error| {
            if error.kind() == io::ErrorKind::UnexpectedEof {
                let inside = kind.map_or("inside the container".to_owned(), |k| format!("inside chunk {k}"));
                return Error::Truncated {
                    file: self.name.clone(),
                    offset: self.input.size().unwrap_or(offset),
                    inside,
                };
            }
            Error::Io { place: Place { file: self.name.clone(), kind, offset }, error }
        })
    }

    fn array<const N: usize>(&self, offset: u64) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.read(None, offset, &mut bytes)?;
        Ok(bytes)
    }

    fn file_header(&self, size: u64) -> Result<Header> {
        if size == 0 {
            return Err(Error::Empty { file: self.name.clone() });
        }
        let mut bytes = [0; HEADER_LEN];
        let n = size.min(HEADER_LEN as u64) as usize;
        self.read(None, 0, &mut bytes[..n])?;
        magic(&bytes[..n]).map_err(|v| self.broken(None, 0, v))?;
        if n < HEADER_LEN {
            return Err(Error::Truncated {
                file: self.name.clone(),
                offset: size,
                inside: "inside the header".to_owned(),
            });
        }
        let header = Header::from_bytes(&bytes).map_err(|v| self.broken(None, 0, v))?;
        if size < (HEADER_LEN + FOOTER_LEN) as u64 {
            return Err(Error::Truncated {
                file: self.name.clone(),
                offset: size,
                inside: "behind the header".to_owned(),
            });
        }
        Ok(header)
    }

    fn chunk_header(&self, offset: u64) -> Result<ChunkHeader> {
        let bytes: [u8; CHUNK_HEADER_LEN] = self.array(offset)?;
        ChunkHeader::from_bytes(&bytes).map_err(|v| self.broken(None, offset, v))
    }

    /// The payload of the metadata chunk that must stand at `offset`, and end before `limit`: chunks within each other would be read, and
    /// kept, many times over.
    fn chunk_at(&self, kind: Kind, offset: u64, limit: u64) -> Result<Vec<u8>> {
        let header = self.chunk_header(offset)?;
        let check =
            ensure(header.kind == kind, Rule::FOOTER, || format!("a chunk {} where {kind} should be", header.kind));
        check.map_err(|v| self.broken(None, offset, v))?;
        let check = ensure(offset.saturating_add(header.span()) <= limit, Rule::INDEX, || {
            format!("it reaches into what stands at {limit:#x}")
        });
        check.map_err(|v| self.broken(Some(kind), offset, v))?;
        self.payload(&IndexEntry::new(&header, offset))
    }

    /// What stands between two chunks that the index knows is padding, all zero, or a part of the index.
    fn between(&self, mut offset: u64, next: u64) -> Result<()> {
        while offset < next {
            let header = self.chunk_header(offset)?;
            if header.kind != Kind::INDX {
                let payload = self.chunk_at(Kind::PAD, offset, next)?;
                ensure(payload.iter().all(|b| *b == 0), Rule::PAD_ZERO, || "its payload is not zero")
                    .map_err(|v| self.broken(Some(Kind::PAD), offset, v))?;
            }
            offset = offset.saturating_add(header.span());
        }
        Ok(())
    }

    /// All chunks, by following the INDX chunks from the last to the first.
    fn index(&self, footer: &Footer, profile: Profile) -> Result<Vec<IndexEntry>> {
        let mut batches = Vec::new();
        let mut offset = footer.index;
        let mut before = footer.end;
        loop {
            let check = ensure(offset < before, Rule::INDEX, || format!("an INDX refers forward, to {offset:#x}"));
            check.map_err(|v| self.broken(Some(Kind::INDX), before, v))?;
            let index = Index::from_payload(&self.chunk_at(Kind::INDX, offset, before)?);
            let index = index.map_err(|v| self.broken(Some(Kind::INDX), offset, v))?;
            batches.push((offset, index.entries));
            if index.previous == 0 {
                break;
            }
            before = offset;
            offset = index.previous;
        }
        let mut chunks: Vec<IndexEntry> = Vec::new();
        let mut free = HEADER_LEN as u64;
        for (at, entries) in batches.into_iter().rev() {
            for e in &entries {
                Self::entry(e, profile, free, at).map_err(|v| self.broken(Some(Kind::INDX), at, v))?;
                free = e.offset + e.header().span();
            }
            free = at;
            chunks.extend(entries.0);
        }
        Ok(chunks)
    }

    /// An entry must be one that the chunk's own header could have passed with, and lie between `free` and `limit`.
    fn entry(e: &IndexEntry, profile: Profile, free: u64, limit: u64) -> Result<(), Violation> {
        let header = e.header();
        ChunkHeader::from_bytes(&header.to_bytes())?;
        let fits = e.offset >= free && e.offset.checked_add(header.span()).is_some_and(|end| end <= limit);
        ensure(fits, Rule::INDEX, || {
            format!("it lists a chunk {} at {:#x}, where there is no room for it", e.kind, e.offset)
        })?;
        let listed = !matches!(e.kind, Kind::PAD | Kind::INDX | Kind::END);
        ensure(listed, Rule::INDEX, || format!("it lists a chunk {}", e.kind))?;
        section::admit(&header, profile)
    }

    fn payload(&self, entry: &IndexEntry) -> Result<Vec<u8>> {
        // Both what is allocated and what it is compared with are bounded: a header passes only below its limit.
        let end = entry.offset.saturating_add(entry.header().span());
        let size = self.size()?;
        if end > size {
            let inside = format!("inside chunk {}", entry.kind);
            return Err(Error::Truncated { file: self.name.clone(), offset: size, inside });
        }
        let mut payload = vec![0; entry.stored as usize];
        self.payload_into(entry, &mut payload)?;
        Ok(payload)
    }

    fn payload_into(&self, entry: &IndexEntry, out: &mut [u8]) -> Result<()> {
        let broken = |v| self.broken(Some(entry.kind), entry.offset, v);
        let header = self.chunk_header(entry.offset)?;
        ensure(header == entry.header(), Rule::INDEX, || "the index says otherwise than the chunk's header")
            .map_err(broken)?;
        self.read(Some(entry.kind), entry.offset + CHUNK_HEADER_LEN as u64, out)?;
        ensure(crc32c::crc32c(out) == entry.crc, Rule::PAYLOAD_CHECKSUM, || "payload checksum is wrong").map_err(broken)
    }
}
