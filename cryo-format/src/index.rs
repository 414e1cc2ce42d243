//! What stands at the end of a file: INDX, END and the footer (spec/12-streaming.md).

use std::io::Cursor;

use binrw::{BinRead, BinWrite, Endian, binrw};
use serde::{Deserialize, Serialize, Serializer};

use crate::chunk::{ChunkFlags, ChunkHeader};
use crate::kind::Kind;
use crate::prim::{List, Raw};
use crate::rules::{Rule, Violation, ensure};

/// Length of the footer.
pub const FOOTER_LEN: usize = 32;

/// First eight bytes of the footer.
pub const FOOTER_MAGIC: [u8; 8] = *b"\xc7CRYOEND";

/// Version of the structural kinds DATA, PAD, INDX and END.
pub const STRUCTURAL_VERSION: u16 = 1;

/// Payload of `INDX`: the chunks since the `INDX` before it. PAD, INDX and END are not listed.
#[binrw]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Index {
    /// File offset of the INDX before it; 0 if it is the first.
    pub previous: u64,
    /// The chunks, in file order.
    pub entries: List<IndexEntry>,
}

/// One chunk: the fields of its header, and where it is.
#[binrw]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct IndexEntry {
    /// What it is.
    pub kind: Kind,
    /// Version of the kind.
    pub version: u16,
    /// Flags.
    pub flags: ChunkFlags,
    /// Owner.
    pub owner: u64,
    /// File offset of its header.
    pub offset: u64,
    /// Bytes of payload in the file.
    pub stored: u64,
    /// Bytes of payload when decompressed.
    pub raw: u64,
    /// crc32c of the payload.
    #[serde(serialize_with = "hex_crc", deserialize_with = "unhex_crc")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::prim::Crc"))]
    pub crc: u32,
    /// Must be zero.
    pub reserved: u32,
}

/// A checksum as `0x` and eight digits.
#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
pub(crate) fn hex_crc<S: Serializer>(crc: &u32, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(&format_args!("{crc:#010x}"))
}

/// The inverse of [`hex_crc`].
pub(crate) fn unhex_crc<'de, D: serde::Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
    let addr = crate::prim::Addr::deserialize(d)?;
    u32::try_from(addr.0).map_err(serde::de::Error::custom)
}

impl IndexEntry {
    /// The entry of a chunk.
    pub fn new(header: &ChunkHeader, offset: u64) -> Self {
        let ChunkHeader { kind, version, flags, owner, stored, raw, crc } = *header;
        Self { kind, version, flags, owner, offset, stored, raw, crc, reserved: 0 }
    }

    /// The chunk header that stands at its offset.
    pub fn header(&self) -> ChunkHeader {
        let Self { kind, version, flags, owner, stored, raw, crc, .. } = *self;
        ChunkHeader { kind, version, flags, owner, stored, raw, crc }
    }
}

impl Index {
    /// From a payload.
    pub fn from_payload(payload: &[u8]) -> Result<Self, Violation> {
        let mut r = Cursor::new(payload);
        let index = Self::read_options(&mut r, Endian::Little, ()).map_err(|e| Rule::PAYLOAD.broken(e.to_string()))?;
        ensure(r.position() == payload.len() as u64, Rule::PAYLOAD, || "bytes are left over behind the index")?;
        ensure(
            index.entries.iter().all(|e| e.reserved == 0),
            Rule::RESERVED,
            || "reserved bytes of an entry are not zero",
        )?;
        Ok(index)
    }

    /// As a payload.
    pub(crate) fn to_payload(&self) -> Vec<u8> {
        let mut w = Cursor::new(Vec::new());
        // Writing to memory cannot fail.
        let _ = self.write_options(&mut w, Endian::Little, ());
        w.into_inner()
    }
}

/// Payload of `END`.
#[binrw]
#[brw(little)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct End {
    /// The file's root (spec/11-integrity.md).
    pub root: Raw<32>,
    /// Number of chunks before this one, of every kind.
    pub chunks: u64,
}

impl End {
    /// Length of the payload.
    pub const LEN: usize = 40;

    /// As a payload.
    pub(crate) fn to_payload(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let _ = self.write(&mut Cursor::new(&mut bytes[..]));
        bytes
    }

    /// From a payload.
    pub fn from_payload(payload: &[u8]) -> Result<Self, Violation> {
        ensure(payload.len() == Self::LEN, Rule::PAYLOAD, || format!("END has {} bytes instead of 40", payload.len()))?;
        Self::read(&mut Cursor::new(payload)).map_err(|e| Rule::PAYLOAD.broken(e.to_string()))
    }
}

/// The last 32 bytes of a file: where the index is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footer {
    /// File offset of the last INDX chunk.
    pub index: u64,
    /// File offset of the END chunk.
    pub end: u64,
}

#[binrw]
#[brw(little)]
struct Layout {
    magic: [u8; 8],
    index: u64,
    end: u64,
    reserved: u32,
    crc: u32,
}

impl Footer {
    /// As it stands in the file.
    pub fn to_bytes(&self) -> [u8; FOOTER_LEN] {
        let layout = Layout { magic: FOOTER_MAGIC, index: self.index, end: self.end, reserved: 0, crc: 0 };
        let mut bytes = [0; FOOTER_LEN];
        let _ = layout.write(&mut Cursor::new(&mut bytes[..]));
        let crc = crc32c::crc32c(&bytes[..28]);
        bytes[28..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// From a file.
    pub fn from_bytes(bytes: &[u8; FOOTER_LEN]) -> Result<Self, Violation> {
        let l = Layout::read(&mut Cursor::new(bytes)).map_err(|e| Rule::FOOTER.broken(e.to_string()))?;
        ensure(l.magic == FOOTER_MAGIC, Rule::FOOTER, || "no footer where the file ends")?;
        ensure(crc32c::crc32c(&bytes[..28]) == l.crc, Rule::FOOTER, || "the footer's checksum is wrong")?;
        ensure(l.reserved == 0, Rule::FOOTER, || "reserved bytes of the footer are not zero")?;
        Ok(Self { index: l.index, end: l.end })
    }
}
