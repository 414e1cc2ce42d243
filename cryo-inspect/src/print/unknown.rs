//! A section that this program does not know: hex and ASCII.

use std::io::{self, Write};

/// Bytes that are shown; JSON has the rest.
const MOST: usize = 256;

/// Writes the first bytes of it.
pub fn print(bytes: &[u8], out: &mut dyn Write) -> io::Result<()> {
    for (i, line) in bytes[..bytes.len().min(MOST)].chunks(16).enumerate() {
        let hex: Vec<String> = line.iter().map(|b| format!("{b:02x}")).collect();
        let ascii: String = line.iter().map(|b| if matches!(b, b' '..=b'~') { *b as char } else { '.' }).collect();
        writeln!(out, "{:04x}  {:47}  |{ascii}|", i * 16, hex.join(" "))?;
    }
    match bytes.len() {
        0 => writeln!(out, "(empty)"),
        n if n > MOST => writeln!(out, "... ({} bytes more)", n - MOST),
        _ => Ok(()),
    }
}
