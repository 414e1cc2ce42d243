//! Whether extents and their pages follow one another as they must (spec/07-memory.md).

use std::collections::BTreeMap;

use crate::chunk::{CHUNK_HEADER_LEN, ChunkHeader};
use crate::header::Header;
use crate::kind::Kind;
use crate::rules::{Rule, Violation, ensure};
use crate::section::extents::Extents;

/// What a reader remembers to check the rules of memory while chunks pass by.
#[derive(Default)]
pub(crate) struct Order {
    /// Where the last extent of each owner ends.
    ends: BTreeMap<u64, u64>,
    /// Owner and length of the DATA that must come next.
    announced: Option<(u64, u64)>,
}

impl Order {
    /// A chunk begins.
    pub fn chunk(&mut self, h: &ChunkHeader, offset: u64, file: &Header) -> Result<(), Violation> {
        if h.kind == Kind::PAD {
            return Ok(());
        }
        let announced = self.announced.take();
        if h.kind != Kind::DATA {
            return ensure(announced.is_none(), Rule::DATA_FOLLOWS, || {
                format!("{} stands where the DATA should be that EXTS announces", h.kind)
            });
        }
        ensure(announced == Some((h.owner, h.raw)), Rule::DATA_FOLLOWS, || {
            format!("no EXTS before it announces {} bytes of owner {}", h.raw, h.owner)
        })?;
        let start = offset + CHUNK_HEADER_LEN as u64;
        ensure(
            h.is_compressed() || start.is_multiple_of(file.page_size()),
            Rule::DATA_ALIGN,
            || "its payload does not begin at a page boundary",
        )
    }

    /// It is an EXTS chunk.
    pub fn extents(&mut self, owner: u64, extents: &Extents, file: &Header) -> Result<(), Violation> {
        let page = file.page_size();
        let end = self.ends.entry(owner).or_default();
        *end = extents.check(page, *end)?;
        self.announced = (extents.data_pages > 0).then_some((owner, extents.data_pages * page));
        Ok(())
    }
}
