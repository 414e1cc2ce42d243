//! Compressed pages: one frame of zstd (RFC 8878) in a DATA chunk (spec/05-chunks.md).

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::{find_frame_compressed_size, get_frame_content_size};

use crate::rules::{Rule, Violation, ensure};

/// Levels that [`compress`] takes: from the fastest to the smallest that needs no more than some MiB of memory.
pub const LEVELS: std::ops::RangeInclusive<i32> = 1..=19;

/// The level of who does not choose: on most data as fast as two disks.
pub const DEFAULT_LEVEL: i32 = 1;

/// `data` as one frame; `None` if that is no shorter, and it is to be stored as it is.
pub fn compress(data: &[u8], level: i32) -> Option<Vec<u8>> {
    // The one error that there is: what comes out has no room in this, since it is not shorter.
    let mut out = vec![0; data.len().checked_sub(1)?];
    let mut compressor = Compressor::new(level.clamp(*LEVELS.start(), *LEVELS.end())).ok()?;
    let n = compressor.compress_to_buffer(data, &mut out).ok()?;
    out.truncate(n);
    Some(out)
}

/// Fills `out` with what `stored` was made of. Nothing is allocated by what the bytes say: `out` is all the room that they get.
pub(crate) fn decompress(stored: &[u8], out: &mut [u8]) -> Result<(), Violation> {
    // A second frame, or one that is to be skipped, would be room to hide something.
    let whole = find_frame_compressed_size(stored).is_ok_and(|n| n == stored.len());
    ensure(whole, Rule::CODEC, || "its payload is not one frame of zstd")?;
    let says = get_frame_content_size(stored).ok().flatten();
    ensure(says == Some(out.len() as u64), Rule::CODEC, || {
        let says = says.map_or("nothing".to_owned(), |n| format!("{n} bytes"));
        format!("its frame announces {says}, and the chunk {} bytes", out.len())
    })?;
    let broken = |e: std::io::Error| Rule::CODEC.broken(format!("it cannot be decompressed: {e}"));
    let n = Decompressor::new().and_then(|mut d| d.decompress_to_buffer(stored, out)).map_err(broken)?;
    ensure(n == out.len(), Rule::CODEC, || format!("it gives {n} bytes, and announces {}", out.len()))
}
