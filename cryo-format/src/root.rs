//! The root: one BLAKE3 digest that stands for a whole file (spec/11-integrity.md).
//!
//! Over the header's 64 bytes, then, for each chunk in file order that is none of PAD, INDX and END: the 48 bytes of its header, and
//! its payload unless it is DATA. Page data enters through its checksum and its digest in EXTS, so that it is not hashed twice.

use crate::chunk::{CHUNK_HEADER_LEN, ChunkHeader};
use crate::header::HEADER_LEN;
use crate::kind::Kind;
use crate::prim::Raw;

pub(crate) struct RootHasher(blake3::Hasher);

impl RootHasher {
    pub fn new(header: &[u8; HEADER_LEN]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(header);
        Self(hasher)
    }

    /// `payload` is not looked at for DATA.
    pub fn chunk(&mut self, header: &ChunkHeader, bytes: &[u8; CHUNK_HEADER_LEN], payload: &[u8]) {
        match header.kind {
            Kind::PAD | Kind::INDX | Kind::END => {}
            Kind::DATA => {
                self.0.update(bytes);
            }
            _ => {
                self.0.update(bytes);
                self.0.update(payload);
            }
        }
    }

    pub fn finish(&self) -> Raw<32> {
        Raw(*self.0.finalize().as_bytes())
    }
}

/// The digest of a DATA payload, as EXTS carries it.
pub fn digest(data: &[u8]) -> Raw<32> {
    Raw(*blake3::hash(data).as_bytes())
}
