//! Every limit of the format, by name (spec/14-limits.md).

/// Largest payload of a chunk that is not `DATA`. A reader may have to hold it in memory.
pub const MAX_METADATA: u64 = 16 << 20;

/// Largest payload of a `DATA` chunk. A reader may have to hold it in memory.
pub const MAX_DATA: u64 = 1 << 20;

/// Smallest page: 4 KiB.
pub const MIN_PAGE_SHIFT: u8 = 12;

/// Largest page: 64 KiB, so that a `DATA` chunk holds whole pages on every machine.
pub const MAX_PAGE_SHIFT: u8 = 16;

/// Sets that one may have below it: who thaws it opens and reads all of them.
pub const MAX_CHAIN: u32 = 64;

/// Chunks that this writer lists in one `INDX`, so that its memory does not grow with the file. Readers take any number.
pub const INDEX_BATCH: usize = 4096;

/// Chunks start at multiples of this.
pub const CHUNK_ALIGN: u64 = 8;

/// Promises that are not kept, in one file, that a verifier lists: behind them it says only that there are more.
pub const MAX_FINDINGS: usize = 1000;

/// Characters of one message that reach a person.
pub const MAX_MESSAGE: usize = 4096;

/// Metadata that the writer gathers before it writes.
pub(crate) const WRITE_BATCH: usize = 64 << 10;
