//! A whole file as JSON: every chunk with every field (spec/json.md). `cryo-inspect dump --format json` prints this, and the Kaitai
//! reader is compared with it.

use std::io::Read;

use serde::Serialize;

use crate::chunk::{ChunkFlags, ChunkHeader};
use crate::error::Result;
use crate::header::Header;
use crate::index::{End, hex_crc};
use crate::kind::Kind;
use crate::read::Stream;
use crate::section::AnySection;

/// One file.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FileDump {
    /// Its name.
    pub file: String,
    /// Its header.
    pub header: Header,
    /// Its chunks in file order, PAD and INDX too, END not.
    pub chunks: Vec<ChunkDump>,
    /// Its END chunk.
    pub end: End,
}

/// One chunk.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChunkDump {
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
    #[serde(serialize_with = "hex_crc")]
    pub crc: u32,
    /// The section's fields in the version that stands in the file; null for DATA and PAD; hex digits for an unknown kind.
    pub payload: AnySection,
}

impl FileDump {
    /// Reads the file that begins where `input` stands, and not a byte beyond it.
    pub fn read(input: impl Read, file: impl Into<String>) -> Result<Self> {
        let file = file.into();
        let mut stream = Stream::named(input, &file)?;
        let header = stream.header().clone();
        let mut chunks = Vec::new();
        while let Some(chunk) = stream.next()? {
            let ChunkHeader { kind, version, flags, owner, stored, raw, crc } = *chunk.header();
            let (offset, payload) = (chunk.offset(), chunk.exact()?);
            chunks.push(ChunkDump { kind, version, flags, owner, offset, stored, raw, crc, payload });
        }
        let end = stream.end().copied().unwrap_or_default();
        Ok(Self { file, header, chunks, end })
    }
}
