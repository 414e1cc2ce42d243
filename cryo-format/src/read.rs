//! The reader in one pass: for pipes, and for whoever wants every chunk (spec/12-streaming.md).

use std::io::{self, Read};

use crate::chunk::{CHUNK_HEADER_LEN, ChunkFlags, ChunkHeader};
use crate::error::{Error, Place, Result};
use crate::header::{HEADER_LEN, Header, magic};
use crate::index::{End, FOOTER_LEN, Footer, STRUCTURAL_VERSION};
use crate::kind::Kind;
use crate::limits::CHUNK_ALIGN;
use crate::root::RootHasher;
use crate::rules::{Rule, Violation, ensure};
use crate::section::{self, AnySection, Section};

/// Reads one file, chunk by chunk, and checks it as it goes: when [`Stream::next`] has given `None`, every checksum, the number of chunks,
/// the root and the footer were right. (What needs to know several sections at once is checked by [`crate::verify`].)
///
/// Nothing behind the footer is touched, so that the next file of a set follows on the same pipe: [`Stream::into_inner`].
pub struct Stream<R> {
    input: R,
    file: String,
    header: Header,
    /// Of the next byte of `input`.
    offset: u64,
    current: Option<Current>,
    root: RootHasher,
    chunks: u64,
    last_index: u64,
    end: Option<End>,
    /// When verifying: what is broken but does not stop the reading.
    faults: Option<Vec<Error>>,
}

struct Current {
    header: ChunkHeader,
    offset: u64,
    /// All of it, unless it is DATA.
    payload: Vec<u8>,
    /// DATA that nobody has read yet.
    unread: bool,
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
        let file = name.clone().unwrap_or_else(|| "the image".to_owned());
        let place = || Place { file: file.clone(), kind: None, offset: 0 };
        let mut bytes = [0; HEADER_LEN];
        let n = read_full(&mut input, &mut bytes).map_err(|source| Error::Io { place: place(), source })?;
        if n == 0 {
            return Err(Error::Empty { file });
        }
        magic(&bytes[..n]).map_err(|violation| Error::Broken { place: place(), violation })?;
        if n < HEADER_LEN {
            return Err(Error::Truncated { file, offset: n as u64, inside: "inside the header".to_owned() });
        }
        let header = Header::from_bytes(&bytes).map_err(|violation| Error::Broken { place: place(), violation })?;
        Ok(Self {
            input,
            file: name.unwrap_or_else(|| format!("the .{}", header.profile)),
            root: RootHasher::new(&bytes),
            header,
            offset: HEADER_LEN as u64,
            current: None,
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
        if is == wanted { Ok(()) } else { Err(Error::WrongProfile { file: self.file.clone(), is, wanted }) }
    }

    /// The END chunk, once [`Stream::next`] has given `None`.
    pub fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// Offset of the next byte to be read.
    pub fn offset(&self) -> u64 {
        self.offset
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
        let offset = self.offset;
        let behind = match &self.current {
            Some(c) => format!("behind chunk {}", c.header.kind),
            None => "behind the header".to_owned(),
        };
        let mut bytes = [0; CHUNK_HEADER_LEN];
        let n = read_full(&mut self.input, &mut bytes).map_err(|e| self.io(None, offset, e))?;
        self.offset += n as u64;
        if n < CHUNK_HEADER_LEN {
            let inside = if n == 0 { behind } else { format!("inside the header of the chunk {behind}") };
            return Err(self.truncated(inside));
        }
        let header = ChunkHeader::from_bytes(&bytes).map_err(|v| {
            // A kind from a damaged header would be noise.
            let kind = (v.rule != Rule::CHUNK_CHECKSUM).then(|| Kind([bytes[0], bytes[1], bytes[2], bytes[3]]));
            self.broken(kind, offset, v)
        })?;
        self.check_kind(&header, offset)?;
        let mut payload = Vec::new();
        if header.kind != Kind::DATA {
            // Grows as the bytes arrive: a length costs nothing that was not sent.
            let n = (&mut self.input).take(header.stored).read_to_end(&mut payload);
            let n = n.map_err(|e| self.io(Some(header.kind), offset, e))?;
            self.offset += n as u64;
            if (n as u64) < header.stored {
                return Err(self.truncated(format!("inside chunk {}", header.kind)));
            }
            self.payload_done(&header, offset, crc32c::crc32c(&payload))?;
            if header.kind == Kind::PAD && payload.iter().any(|b| *b != 0) {
                self.fault(header.kind, offset, Rule::PAD_ZERO.broken("it is not zero"))?;
            }
        }
        self.root.chunk(&header, &bytes, &payload);
        if header.kind == Kind::END {
            return self.finish(&header, offset, &payload).map(|()| None);
        }
        if header.kind == Kind::INDX {
            self.last_index = offset;
        }
        self.chunks += 1;
        let unread = header.kind == Kind::DATA;
        self.current = Some(Current { header, offset, payload, unread });
        Ok(Some(Chunk { stream: self }))
    }

    /// What the registry says about the kind, before the payload is read.
    fn check_kind(&mut self, header: &ChunkHeader, offset: u64) -> Result<()> {
        let kind = header.kind;
        let (version, flags, profile) = match (section::info(kind), kind) {
            (Some(info), _) => (info.version, info.flags, Some(info.profile)),
            (None, Kind::DATA | Kind::END) => (STRUCTURAL_VERSION, ChunkFlags::CRITICAL, None),
            (None, Kind::PAD | Kind::INDX) => (STRUCTURAL_VERSION, ChunkFlags::NONE, None),
            (None, _) => {
                let critical = header.flags.is_critical();
                let check = ensure(!critical, Rule::CRITICAL, || {
                    format!("{kind} is critical and unknown to this program: use a newer Cryo")
                });
                return check.or_else(|v| self.fault(kind, offset, v));
            }
        };
        if header.version != version {
            let critical = header.flags.is_critical() || flags.is_critical();
            let check = ensure(!critical, Rule::VERSION, || {
                format!(
                    "version {} of {kind} is unknown to this program, which reads version {version}: use a newer Cryo",
                    header.version
                )
            });
            return check.or_else(|v| self.fault(kind, offset, v));
        }
        let check = ensure(header.flags == flags, Rule::FLAGS, || {
            format!("its flags are {:#06x}, not {:#06x}", header.flags.0, flags.0)
        });
        check.or_else(|v| self.fault(kind, offset, v))?;
        let here = self.header.profile;
        let check = ensure(profile.is_none_or(|p| p == here), Rule::MISPLACED, || {
            format!("{kind} does not belong into a .{here}")
        });
        check.or_else(|v| self.fault(kind, offset, v))?;
        if kind == Kind::DATA {
            let page = self.header.page_size();
            let check = ensure(header.stored % page == 0, Rule::DATA_FOLLOWS, || {
                format!("{} bytes are not whole pages", header.stored)
            });
            check.or_else(|v| self.fault(kind, offset, v))?;
            let check = ensure(
                (offset + CHUNK_HEADER_LEN as u64) % page == 0,
                Rule::DATA_ALIGN,
                || "its payload does not begin at a page boundary",
            );
            check.or_else(|v| self.fault(kind, offset, v))?;
        }
        Ok(())
    }

    /// Compares the payload's checksum, and reads the zeros behind it.
    fn payload_done(&mut self, header: &ChunkHeader, offset: u64, crc: u32) -> Result<()> {
        let check = ensure(crc == header.crc, Rule::PAYLOAD_CHECKSUM, || "payload checksum is wrong");
        check.or_else(|v| self.fault(header.kind, offset, v))?;
        let mut zeros = [0; CHUNK_ALIGN as usize];
        let zeros = &mut zeros[..header.padding() as usize];
        let n = read_full(&mut self.input, zeros).map_err(|e| self.io(Some(header.kind), offset, e))?;
        self.offset += n as u64;
        if n < zeros.len() {
            return Err(self.truncated(format!("inside the padding of chunk {}", header.kind)));
        }
        let check = ensure(zeros.iter().all(|b| *b == 0), Rule::PADDING, || "the padding behind it is not zero");
        check.or_else(|v| self.fault(header.kind, offset, v))
    }

    /// END and footer.
    fn finish(&mut self, header: &ChunkHeader, offset: u64, payload: &[u8]) -> Result<()> {
        let end = End::from_payload(payload).map_err(|v| self.broken(Some(header.kind), offset, v))?;
        let chunks = self.chunks;
        let check = ensure(end.chunks == chunks, Rule::END_COUNT, || {
            format!("it counts {} chunks, and there are {chunks}", end.chunks)
        });
        check.or_else(|v| self.fault(header.kind, offset, v))?;
        let root = self.root.finish();
        let check = ensure(end.root == root, Rule::ROOT, || format!("its root is {}, the file's is {root}", end.root));
        check.or_else(|v| self.fault(header.kind, offset, v))?;

        let at = self.offset;
        let mut bytes = [0; FOOTER_LEN];
        let n = read_full(&mut self.input, &mut bytes).map_err(|e| self.io(None, at, e))?;
        self.offset += n as u64;
        if n < FOOTER_LEN {
            return Err(Error::Broken {
                place: Place { file: self.file.clone(), kind: None, offset: at },
                violation: Rule::TRUNCATED.broken(format!("truncated inside the footer, {n} bytes of {FOOTER_LEN}")),
            });
        }
        let footer = Footer::from_bytes(&bytes).and_then(|f| {
            ensure(f.end == offset, Rule::FOOTER, || format!("the footer says that END is at {:#x}", f.end))?;
            ensure(f.index == self.last_index, Rule::FOOTER, || {
                format!("the footer says that the last INDX is at {:#x}, and it is at {:#x}", f.index, self.last_index)
            })
        });
        if let Err(violation) = footer {
            let error = Error::Broken { place: Place { file: self.file.clone(), kind: None, offset: at }, violation };
            match &mut self.faults {
                Some(faults) => faults.push(error),
                None => return Err(error),
            }
        }
        self.current = None;
        self.end = Some(end);
        Ok(())
    }

    /// Passes over DATA that nobody wanted; its checksum is still compared.
    fn skip(&mut self) -> Result<()> {
        let Some(Current { header, offset, unread: true, .. }) = self.current else { return Ok(()) };
        let mut scratch = vec![0; 64 << 10];
        let mut left = header.stored;
        let mut crc = 0;
        while left > 0 {
            let part = &mut scratch[..left.min(64 << 10) as usize];
            self.read_data(&header, offset, part)?;
            crc = crc32c::crc32c_append(crc, part);
            left -= part.len() as u64;
        }
        self.data_done(&header, offset, crc)
    }

    fn read_data(&mut self, header: &ChunkHeader, offset: u64, part: &mut [u8]) -> Result<()> {
        let n = read_full(&mut self.input, part).map_err(|e| self.io(Some(header.kind), offset, e))?;
        self.offset += n as u64;
        if n < part.len() { Err(self.truncated("inside chunk DATA".to_owned())) } else { Ok(()) }
    }

    fn data_done(&mut self, header: &ChunkHeader, offset: u64, crc: u32) -> Result<()> {
        if let Some(current) = &mut self.current {
            current.unread = false;
        }
        self.payload_done(header, offset, crc)
    }

    fn broken(&self, kind: Option<Kind>, offset: u64, violation: Violation) -> Error {
        Error::Broken { place: Place { file: self.file.clone(), kind, offset }, violation }
    }

    fn fault(&mut self, kind: Kind, offset: u64, violation: Violation) -> Result<()> {
        let error = self.broken(Some(kind), offset, violation);
        match &mut self.faults {
            Some(faults) => {
                faults.push(error);
                Ok(())
            }
            None => Err(error),
        }
    }

    fn truncated(&self, inside: String) -> Error {
        Error::Truncated { file: self.file.clone(), offset: self.offset, inside }
    }

    fn io(&self, kind: Option<Kind>, offset: u64, source: io::Error) -> Error {
        Error::Io { place: Place { file: self.file.clone(), kind, offset }, source }
    }
}

/// The chunk that a stream stands at.
pub struct Chunk<'a, R> {
    stream: &'a mut Stream<R>,
}

impl<R: Read> Chunk<'_, R> {
    fn current(&self) -> (&ChunkHeader, u64, &[u8]) {
        const NONE: ChunkHeader =
            ChunkHeader { kind: Kind::PAD, version: 0, flags: ChunkFlags::NONE, owner: 0, stored: 0, raw: 0, crc: 0 };
        // `next` makes a Chunk only where there is a current one.
        self.stream.current.as_ref().map_or((&NONE, 0, &[]), |c| (&c.header, c.offset, &c.payload))
    }

    /// Its header.
    pub fn header(&self) -> &ChunkHeader {
        self.current().0
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        self.header().kind
    }

    /// The local id that it belongs to.
    pub fn owner(&self) -> u64 {
        self.header().owner
    }

    /// Offset of its header in the file.
    pub fn offset(&self) -> u64 {
        self.current().1
    }

    /// The payload, unless it is DATA.
    pub fn payload(&self) -> &[u8] {
        self.current().2
    }

    /// The payload as a section of this type.
    pub fn section<S: Section>(&self) -> Result<S> {
        let (header, offset, payload) = self.current();
        if header.kind != S::KIND || header.version != S::VERSION {
            let place = Place { file: self.stream.file.clone(), kind: Some(header.kind), offset };
            return Err(Error::WrongKind { place, wanted: format!("{} version {}", S::KIND, S::VERSION) });
        }
        S::from_payload(payload).map_err(|v| self.stream.broken(Some(header.kind), offset, v))
    }

    /// The payload as whatever it is.
    pub fn any(&self) -> Result<AnySection> {
        let (header, offset, payload) = self.current();
        AnySection::parse(header.kind, header.version, payload)
            .map_err(|v| self.stream.broken(Some(header.kind), offset, v))
    }

    /// The pages of a DATA chunk, into `out`, which gets their length.
    pub fn data(&mut self, out: &mut Vec<u8>) -> Result<()> {
        let (header, ..) = self.current();
        // At most MAX_DATA: the header was checked.
        out.resize(header.stored as usize, 0);
        self.data_into(out)
    }

    /// The pages of a DATA chunk, straight into memory of exactly their length.
    pub fn data_into(&mut self, out: &mut [u8]) -> Result<()> {
        let (&header, offset, _) = self.current();
        let fresh = self.stream.current.as_ref().is_some_and(|c| c.unread);
        if !fresh || out.len() as u64 != header.stored {
            let place = Place { file: self.stream.file.clone(), kind: Some(header.kind), offset };
            return Err(Error::WrongKind { place, wanted: format!("{} bytes of DATA", out.len()) });
        }
        self.stream.read_data(&header, offset, out)?;
        self.stream.data_done(&header, offset, crc32c::crc32c(out))
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
