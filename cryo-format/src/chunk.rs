//! Chunk framing: 48 bytes of header, the payload, zeros up to a multiple of 8 (spec/05-chunks.md).

use std::io::Cursor;

use binrw::{BinRead, BinWrite, binrw};
use serde::{Deserialize, Serialize};

use crate::kind::Kind;
use crate::limits::{CHUNK_ALIGN, MAX_DATA, MAX_METADATA};
use crate::rules::{Rule, Violation, ensure};

/// Length of a chunk header.
pub const CHUNK_HEADER_LEN: usize = 48;

/// Flags of a chunk.
#[binrw]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct ChunkFlags(pub u16);

impl ChunkFlags {
    /// No flag: ancillary, and to be left out by an editor that does not know it.
    pub const NONE: Self = Self(0);
    /// A reader that does not know the kind must refuse the file.
    pub const CRITICAL: Self = Self(1);
    /// An editor that does not know the kind may copy it.
    pub const SAFE_TO_COPY: Self = Self(2);

    const CODEC: u16 = 0x0f00;

    /// Is the chunk critical?
    pub fn is_critical(self) -> bool {
        self.0 & Self::CRITICAL.0 != 0
    }

    /// The payload is compressed with zstd.
    pub const ZSTD: Self = Self(0x0100);

    /// Number of the codec: 0 stored, 1 zstd.
    pub fn codec(self) -> u16 {
        (self.0 & Self::CODEC) >> 8
    }

    /// Without the codec: what the registry says of the kind.
    #[must_use]
    pub fn of_kind(self) -> Self {
        Self(self.0 & !Self::CODEC)
    }
}

/// The header of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkHeader {
    /// What it is.
    pub kind: Kind,
    /// Version of the kind.
    pub version: u16,
    /// Flags.
    pub flags: ChunkFlags,
    /// Local id of the process, thread, object or description that it belongs to; 0 for the image.
    pub owner: u64,
    /// Bytes of payload in the file.
    pub stored: u64,
    /// Bytes of payload when decompressed.
    pub raw: u64,
    /// crc32c of the payload as stored.
    pub crc: u32,
}

#[binrw]
#[brw(little)]
struct Layout {
    kind: Kind,
    version: u16,
    flags: ChunkFlags,
    owner: u64,
    stored: u64,
    raw: u64,
    crc: u32,
    reserved: u64,
    header_crc: u32,
}

impl ChunkHeader {
    /// For a payload that is stored as it is.
    pub fn stored(kind: Kind, version: u16, flags: ChunkFlags, owner: u64, payload: &[u8]) -> Self {
        let len = payload.len() as u64;
        Self { kind, version, flags, owner, stored: len, raw: len, crc: crc32c::crc32c(payload) }
    }

    /// For a payload that [`codec::compress`](crate::codec::compress) has made of `raw` bytes.
    pub fn compressed(kind: Kind, version: u16, flags: ChunkFlags, owner: u64, payload: &[u8], raw: u64) -> Self {
        let flags = ChunkFlags(flags.0 | ChunkFlags::ZSTD.0);
        Self { raw, ..Self::stored(kind, version, flags, owner, payload) }
    }

    /// Is the payload compressed?
    pub fn is_compressed(&self) -> bool {
        self.flags.codec() != 0
    }

    /// As it stands in the file.
    pub fn to_bytes(&self) -> [u8; CHUNK_HEADER_LEN] {
        let layout = Layout {
            kind: self.kind,
            version: self.version,
            flags: self.flags,
            owner: self.owner,
            stored: self.stored,
            raw: self.raw,
            crc: self.crc,
            reserved: 0,
            header_crc: 0,
        };
        let mut bytes = [0; CHUNK_HEADER_LEN];
        // Writing fixed fields into a buffer of their exact length cannot fail.
        let _ = layout.write(&mut Cursor::new(&mut bytes[..]));
        let crc = crc32c::crc32c(&bytes[..44]);
        bytes[44..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// From a file; checks all that can be known without the payload and without knowing the kind.
    pub fn from_bytes(bytes: &[u8; CHUNK_HEADER_LEN]) -> Result<Self, Violation> {
        let l = Layout::read(&mut Cursor::new(bytes)).map_err(|e| Rule::CHUNK_CHECKSUM.broken(e.to_string()))?;
        ensure(
            crc32c::crc32c(&bytes[..44]) == l.header_crc,
            Rule::CHUNK_CHECKSUM,
            || "the chunk header's checksum is wrong",
        )?;
        let header = Self {
            kind: l.kind,
            version: l.version,
            flags: l.flags,
            owner: l.owner,
            stored: l.stored,
            raw: l.raw,
            crc: l.crc,
        };
        let known = ChunkFlags::CRITICAL.0 | ChunkFlags::SAFE_TO_COPY.0 | ChunkFlags::CODEC;
        ensure(l.flags.0 & !known == 0, Rule::CHUNK_RESERVED, || format!("unknown flags {:#06x}", l.flags.0))?;
        ensure(l.reserved == 0, Rule::CHUNK_RESERVED, || "reserved bytes of the chunk header are not zero")?;
        match l.flags.codec() {
            0 => ensure(l.raw == l.stored, Rule::CODEC, || {
                format!("stored without compression, but {} bytes stored are said to be {}", l.stored, l.raw)
            })?,
            1 if l.kind != Kind::DATA => {
                return Err(Rule::CODEC.broken(format!("{} is compressed, and only DATA may be", l.kind)));
            }
            1 => ensure(l.stored < l.raw, Rule::CODEC, || {
                format!("{} bytes compressed are said to be {}: no fewer", l.stored, l.raw)
            })?,
            n => return Err(Rule::CODEC.broken(format!("compressed with codec {n}, which this program does not know"))),
        }
        let limit = header.limit();
        // What is not compressed has `stored` of them.
        ensure(l.raw <= limit, Rule::CHUNK_LIMIT, || {
            format!("a payload of {} bytes is above the limit of {limit}", l.raw)
        })?;
        Ok(header)
    }

    /// Largest payload that the kind may have.
    pub fn limit(&self) -> u64 {
        if self.kind == Kind::DATA { MAX_DATA } else { MAX_METADATA }
    }

    /// Zero bytes between the payload and the next chunk.
    pub fn padding(&self) -> u64 {
        self.stored.wrapping_neg() % CHUNK_ALIGN
    }

    /// Bytes from this header to the next one.
    pub fn span(&self) -> u64 {
        CHUNK_HEADER_LEN as u64 + self.stored + self.padding()
    }
}
