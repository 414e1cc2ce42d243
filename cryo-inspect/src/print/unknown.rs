//! A section that this program does not know: hex and ASCII.

use crate::block::Blocks;

/// Bytes that are shown; JSON has the rest.
const MOST: usize = 256;

/// The first bytes of it.
pub fn print(bytes: &[u8], out: &mut Blocks) {
    out.bytes(0, bytes, MOST);
}
