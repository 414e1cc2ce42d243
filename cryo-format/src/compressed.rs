//! What programs that compress make of a file: told by its first bytes.

/// The programs that compress, by what their files begin with (the formats' specifications; file(1) goes by the same).
const COMPRESSORS: [(&[u8], &str); 4] =
    [(b"\x28\xb5\x2f\xfd", "zstd"), (b"\x1f\x8b", "gzip"), (b"\xfd7zXZ\0", "xz"), (b"BZh", "bzip2")];

/// Which program has compressed what begins with these bytes?
pub fn compressed_by(bytes: &[u8]) -> Option<&'static str> {
    COMPRESSORS.iter().find(|(magic, _)| bytes.starts_with(magic)).map(|(_, program)| *program)
}
