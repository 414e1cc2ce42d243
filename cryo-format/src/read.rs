//! The reader in one pass: for pipes, and for whoever wants every chunk (spec/12-streaming.md).

use std::io::{self, Read};

use crate::chunk::{CHUNK_HEADER_LEN, ChunkHeader};
use crate::codec;
use crate::error::{Error, Place, Result};
use crate::header::{HEADER_LEN, Header, magic};
use crate::index::{End, FOOTER_LEN, Footer};
use crate::kind::Kind;
use crate::limits::{CHUNK_ALIGN, MAX_FINDINGS};
use crate::order::Order;
use crate::root::RootHasher;
use crate::rules::{Rule, Violation, ensure};
use crate::section::extents::Extents;
use crate::section::{self, AnySection, Section};

/// Reserved before the first byte of a payload has arrived.
const FIRST_READ: usize = 64 << 10;

/// Reads one file, chunk by chunk, and checks it as it goes: when [`Stream::next`] has given `None`, every checksum, the order of the
/// extents and their pages, the number of chunks, the root and the footer were right. (What needs to know several sections at once is
/// checked by [`crate::verify`].)
///
/// Nothing behind the footer is touched, so that the next file of a set follows on the same pipe: [`Stream::into_inner`].
pub struct Stream<R> {
    input: R,
    /// The file's name, and the chunk that it stands at.
    place: Place,
    header: Header,
    /// Of the next byte of `input`.
    offset: u64,
    /// Payload of the chunk it stands at, unless it is DATA.
    payload: Vec<u8>,
    /// DATA that nobody has read yet.
    unread: Option<ChunkHeader>,
    order: Order,
    root: RootHasher,
    chunks: u64,
    last_index: u64,
    end: Option<End>,
    /// When verifying: what is broken but does not stop the reading.
    faults: Option<Vec<Error>>,
}

impl<R: Read> Stream<R> {
    /// Reads the header. Messages call the file by its profile.
    pub fn new(input: R) -> Result<Self> {
        Self::open(input, None, None)
    }

    /// Reads the header. Messages call the file `name`.
    pub fn named(input: R, name: impl Into<String>) -> Result<Self> {
        Self::open(input, Some(name.into()), None)
    }

    /// Does not stop at faults that leave the rest readable, but collects them.
    pub(crate) fn verifying(input: R, name: impl Into<String>) -> Result<Self> {
        Self::open(input, Some(name.into()), Some(Vec::new()))
    }

    fn open(mut input: R, name: Option<String>, faults: Option<Vec<Error>>) -> Result<Self> {
        let unnamed = name.is_none();
        let file = name.unwrap_or_else(|| "the image".to_owned());
        let mut place = Place { file: file.clone(), kind: None, offset: 0 };
        let mut bytes = [0; HEADER_LEN];
        let n = read_full(&mut input, &mut bytes).map_err(|error| Error::Io { place: place.clone(), error })?;
        if n == 0 {
            return Err(Error::Empty { file });
        }
        let broken = |violation| Error::Broken { place: place.clone(), violation };
        magic(&bytes[..n]).map_err(broken)?;
        if n < HEADER_LEN {
            return Err(Error::Truncated { file, offset: n as u64, inside: "inside the header".to_owned() });
        }
        let header = Header::from_bytes(&bytes).map_err(broken)?;
        if unnamed {
            place.file = format!("the .{}", header.profile);
        }
        Ok(Self {
            input,
            place,
            root: RootHasher::new(&bytes),
            header,
            offset: HEADER_LEN as u64,
            payload: Vec::new(),
            unread: None,
            order: Order::default(),
            chunks: 0,
            last_index: 0,
            end: None,
            faults,
        })
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Refuses a file of another profile.
    pub fn expect(&self, wanted: crate::Profile) -> Result<()> {
        let is = self.header.profile;
        if is == wanted { Ok(()) } else { Err(Error::WrongProfile { file: self.place.file.clone(), is, wanted }) }
    }

    /// The END chunk, once [`Stream::next`] has given `None`.
    pub fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// Offset of the next byte to be read.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// What the bytes come from, behind what was read.
    pub fn input_mut(&mut self) -> &mut R {
        &mut self.input
    }

    /// What the bytes come from, to look at.
    pub fn get_ref(&self) -> &R {
        &self.input
    }

    /// What the bytes come from. After the end it stands exactly behind the footer.
    pub fn into_inner(self) -> R {
        self.input
    }

    pub(crate) fn take_faults(&mut self) -> Vec<Error> {
        self.faults.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The next chunk of any kind, PAD and INDX too; `None` after END. What was not read of the chunk before is passed over (and checked).
    #[allow(clippy::should_implement_trait)] // a chunk borrows the stream
    pub fn next(&mut self) -> Result<Option<Chunk<'_, R>>> {
        self.skip()?;
        if self.end.is_some() {
            return Ok(None);
        }
        let (header, bytes) = self.chunk_header()?;
        self.check(section::admit(&header, self.header.profile))?;
        let order = self.order.chunk(&header, self.place.offset, &self.header);
        self.check(order)?;
        self.payload.clear();
        if header.kind == Kind::DATA {
            self.unread = Some(header);
        } else {
            self.read_payload(&header)?;
        }
        self.root.chunk(&header, &bytes, &self.payload);
        match header.kind {
            Kind::END => return self.finish().map(|()| None),
            Kind::INDX => self.last_index = self.place.offset,
            Extents::KIND if header.version == Extents::VERSION => {
                let extents = Extents::from_payload(&self.payload);
                let extents = extents.and_then(|e| self.order.extents(header.owner, &e, &self.header));
                self.check(extents)?;
            }
            _ => {}
        }
        self.chunks += 1;
        Ok(Some(Chunk { header, stream: self }))
    }

    fn chunk_header(&mut self) -> Result<(ChunkHeader, [u8; CHUNK_HEADER_LEN])> {
        let behind = self.place.kind.map_or("behind the header".to_owned(), |kind| format!("behind chunk {kind}"));
        self.place = Place { kind: None, offset: self.offset, ..self.place.clone() };
        let mut bytes = [0; CHUNK_HEADER_LEN];
        let n = self.read(&mut bytes)?;
        if n < CHUNK_HEADER_LEN {
            return Err(self.truncated(match n {
                0 => behind,
                _ => format!("inside the header of the chunk {behind}"),
            }));
        }
        let header = ChunkHeader::from_bytes(&bytes);
        // A kind from a damaged header would be noise.
        if !matches!(&header, Err(v) if v.rule == Rule::CHUNK_CHECKSUM) {
            self.place.kind = Some(Kind([bytes[0], bytes[1], bytes[2], bytes[3]]));
        }
        header.map(|header| (header, bytes)).map_err(|v| self.broken(v))
    }

    fn read_payload(&mut self, header: &ChunkHeader) -> Result<()> {
        self.payload.clear();
        // Grows as the bytes arrive: a length costs little that was not sent.
        self.payload.reserve(FIRST_READ.min(header.stored as usize));
        let n = (&mut self.input).take(header.stored).read_to_end(&mut self.payload);
        let n = n.map_err(|e| self.io(e))? as u64;
        self.offset += n;
        if n < header.stored {
            return Err(self.truncated(format!("inside chunk {}", header.kind)));
        }
        self.payload_done(header, crc32c::crc32c(&self.payload))?;
        let zero = header.kind != Kind::PAD || self.payload.iter().all(|b| *b == 0);
        self.check(ensure(zero, Rule::PAD_ZERO, || "its payload is not zero"))
    }

    /// The pages of a compressed DATA chunk.
    fn decompress(&mut self, header: &ChunkHeader, out: &mut [u8]) -> Result<()> {
        self.read_payload(header)?;
        let done = codec::decompress(&self.payload, out);
        self.check(done)
    }

    /// Compares the payload's checksum, and reads the zeros behind it.
    fn payload_done(&mut self, header: &ChunkHeader, crc: u32) -> Result<()> {
        self.check(ensure(crc == header.crc, Rule::PAYLOAD_CHECKSUM, || "payload checksum is wrong"))?;
        let mut zeros = [0; CHUNK_ALIGN as usize];
        let zeros = &mut zeros[..header.padding() as usize];
        if self.read(zeros)? < zeros.len() {
            return Err(self.truncated(format!("inside the padding of chunk {}", header.kind)));
        }
        self.check(ensure(zeros.iter().all(|b| *b == 0), Rule::PADDING, || "the padding behind it is not zero"))
    }

    /// END and footer.
    fn finish(&mut self) -> Result<()> {
        let end = End::from_payload(&self.payload).map_err(|v| self.broken(v))?;
        let at = self.place.offset;
        let chunks = self.chunks;
        self.check(ensure(end.chunks == chunks, Rule::END_COUNT, || {
            format!("it counts {} chunks, and there are {chunks}", end.chunks)
        }))?;
        let root = self.root.finish();
        self.check(ensure(end.root == root, Rule::ROOT, || {
            format!("the root in it is {}, that of the file is {root}", end.root)
        }))?;

        self.end = Some(end);
        self.place = Place { kind: None, offset: self.offset, ..self.place.clone() };
        let mut bytes = [0; FOOTER_LEN];
        let n = self.read(&mut bytes)?;
        if n < FOOTER_LEN {
            return Err(
                self.broken(Rule::TRUNCATED.broken(format!("truncated in the footer, {n} bytes of {FOOTER_LEN}")))
            );
        }
        let index = self.last_index;
        self.check(ensure(index != 0, Rule::INDEX, || "there is no INDX in the file"))?;
        self.check(Footer::from_bytes(&bytes).and_then(|f| {
            ensure(f.end == at, Rule::FOOTER, || format!("the footer says that END is at {:#x}, not {at:#x}", f.end))?;
            ensure(f.index == index, Rule::FOOTER, || {
                format!("the footer says that the last INDX is at {:#x}, not {index:#x}", f.index)
            })
        }))
    }

    /// Passes over DATA that nobody wanted; its checksum is still compared, and whether it can be decompressed.
    fn skip(&mut self) -> Result<()> {
        let Some(header) = self.unread.take() else { return Ok(()) };
        if header.is_compressed() {
            let mut pages = vec![0; header.raw as usize];
            return self.decompress(&header, &mut pages);
        }
        let mut scratch = vec![0; FIRST_READ];
        let mut left = header.stored;
        let mut crc = 0;
        while left > 0 {
            let part = &mut scratch[..left.min(FIRST_READ as u64) as usize];
            self.read_data(part)?;
            crc = crc32c::crc32c_append(crc, part);
            left -= part.len() as u64;
        }
        self.payload_done(&header, crc)
    }

    fn read_data(&mut self, part: &mut [u8]) -> Result<()> {
        if self.read(part)? < part.len() { Err(self.truncated("inside chunk DATA".to_owned())) } else { Ok(()) }
    }

    fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        let n = read_full(&mut self.input, buf).map_err(|e| self.io(e))?;
        self.offset += n as u64;
        Ok(n)
    }

    fn broken(&self, violation: Violation) -> Error {
        Error::Broken { place: self.place.clone(), violation }
    }

    /// An error, or when verifying a fault to remember.
    fn check(&mut self, result: Result<(), Violation>) -> Result<()> {
        let Err(violation) = result else { return Ok(()) };
        let error = self.broken(violation);
        match &mut self.faults {
            Some(faults) => {
                if faults.len() < MAX_FINDINGS {
                    faults.push(error);
                }
                Ok(())
            }
            None => Err(error),
        }
    }

    fn truncated(&self, inside: String) -> Error {
        Error::Truncated { file: self.place.file.clone(), offset: self.offset, inside }
    }

    fn io(&self, error: io::Error) -> Error {
        Error::Io { place: self.place.clone(), error }
    }
}

/// The chunk that a stream stands at.
pub struct Chunk<'a, R> {
    header: ChunkHeader,
    stream: &'a mut Stream<R>,
}

impl<R: Read> Chunk<'_, R> {
    /// Its header.
    pub fn header(&self) -> &ChunkHeader {
        &self.header
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        self.header.kind
    }

    /// The local id that it belongs to.
    pub fn owner(&self) -> u64 {
        self.header.owner
    }

    /// Offset of its header in the file.
    pub fn offset(&self) -> u64 {
        self.stream.place.offset
    }

    /// The payload, unless it is DATA.
    pub fn payload(&self) -> &[u8] {
        &self.stream.payload
    }

    /// The payload as a section of this type; an older version becomes this one.
    pub fn section<S: Section>(&self) -> Result<S> {
        let section = S::from_chunk(self.header.kind, self.header.version, self.payload());
        let section = section.map_err(|v| self.stream.broken(v))?;
        section.ok_or_else(|| self.wrong(format!("{} version {}", S::KIND, S::VERSION)))
    }

    /// The payload as whatever it is, in the latest version of its kind.
    pub fn any(&self) -> Result<AnySection> {
        self.exact().map(AnySection::latest)
    }

    /// The payload as whatever it is, in the version that stands in the file: what is written from it are the same bytes.
    pub fn exact(&self) -> Result<AnySection> {
        let any = AnySection::parse(self.header.kind, self.header.version, self.payload());
        any.map_err(|v| self.stream.broken(v))
    }

    /// The pages of a DATA chunk, into `out`, which gets their length.
    pub fn data(&mut self, out: &mut Vec<u8>) -> Result<()> {
        // At most MAX_DATA: the header was checked.
        out.resize(self.header.raw as usize, 0);
        self.data_into(out)
    }

    /// The pages of a DATA chunk, decompressed, straight into memory of exactly their length. Once.
    pub fn data_into(&mut self, out: &mut [u8]) -> Result<()> {
        let Some(header) = self.stream.unread.filter(|h| h.raw == out.len() as u64) else {
            return Err(self.wrong(format!("{} bytes of DATA not read yet", out.len())));
        };
        self.stream.unread = None;
        if header.is_compressed() {
            return self.stream.decompress(&header, out);
        }
        self.stream.read_data(out)?;
        self.stream.payload_done(&header, crc32c::crc32c(out))
    }

    fn wrong(&self, wanted: String) -> Error {
        Error::WrongKind { place: self.stream.place.clone(), wanted }
    }
}

/// Reads until `buf` is full or the input ends; gives the number of bytes.
fn read_full(input: &mut impl Read, buf: &mut [u8]) -> io::Result<usize> {
    let mut n = 0;
    while n < buf.len() {
        match input.read(&mut buf[n..]) {
            Ok(0) => break,
            Ok(more) => n += more,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(n)
}
