//! Bytes, sizes and times as people read them. What an image says never reaches the terminal as it is: no control characters, no
//! text that runs backwards, nothing endless.

use std::time::{Duration, UNIX_EPOCH};

use cryo_format::prim::Bytes;
pub use cryo_format::text::harmless;
use cryo_format::text::push;
use unicode_width::UnicodeWidthStr;

/// Characters of one value that are shown; JSON has the rest.
const LONGEST: usize = 4096;

/// Text from an image, fit for a terminal: `\xNN` for what is not UTF-8, `\n` and `\u{..}` for what is not visible.
pub fn shown(bytes: &[u8]) -> String {
    clipped(bytes, LONGEST)
}

/// [`shown`], of the first `limit` bytes.
pub fn clipped(bytes: &[u8], limit: usize) -> String {
    let mut out = String::new();
    for part in bytes[..bytes.len().min(limit)].utf8_chunks() {
        for c in part.valid().chars() {
            if c == '\\' { out.push_str("\\\\") } else { push(&mut out, c) }
        }
        part.invalid().iter().for_each(|b| out.push_str(&format!("\\x{b:02x}")));
    }
    if bytes.len() > limit {
        out.push_str(&format!("... ({} bytes more)", bytes.len() - limit));
    }
    out
}

/// The first `limit` characters of what is fit for a terminal already.
pub fn cut(text: String, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        None => text,
        Some((at, _)) => format!("{}...", &text[..at]),
    }
}

/// [`shown`], or `instead` if there is nothing.
pub fn shown_or(bytes: &Bytes, instead: &str) -> String {
    if bytes.is_empty() { instead.to_owned() } else { shown(bytes) }
}

/// Arguments as /proc/PID/cmdline separates them, as one would type them.
pub fn command_line(cmdline: &[u8], limit: usize) -> String {
    let whole = cmdline.strip_suffix(b"\0").unwrap_or(cmdline);
    let part = &whole[..whole.len().min(limit)];
    let mut words: Vec<String> = part.split(|b| *b == 0).map(word).collect();
    if part.len() < whole.len() {
        words.push(format!("... ({} bytes more)", whole.len() - part.len()));
    }
    words.join(" ")
}

fn word(arg: &[u8]) -> String {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"-_./=:,+@%^".contains(b) || *b >= 0x80;
    let text = shown(arg);
    if !arg.is_empty() && arg.iter().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// A number of bytes: `512 B`, `132 KiB`, `1.2 MiB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let i = (bytes.ilog2() / 10).clamp(1, 6);
    let (unit, one) = (UNITS[i as usize - 1], 1u64 << (i * 10));
    if bytes.is_multiple_of(one) || bytes / one >= 100 {
        format!("{} {unit}", bytes / one)
    } else {
        format!("{}.{} {unit}", bytes / one, bytes % one * 10 / one)
    }
}

/// `1 page`, `2 pages`.
pub fn count(n: u64, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// A span of time.
pub fn duration(ns: u64) -> String {
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{}.{} us", ns / 1_000, ns / 100 % 10),
        1_000_000..1_000_000_000 => format!("{}.{} ms", ns / 1_000_000, ns / 100_000 % 10),
        _ => format!("{}.{:03} s", ns / 1_000_000_000, ns / 1_000_000 % 1000),
    }
}

/// A moment in UTC, to the second.
pub fn time(sec: i64) -> String {
    /// The first second of the year 10000: humantime knows those from 1970 on, and before that one.
    const YEAR_10000: u64 = 253_402_300_800;
    match u64::try_from(sec) {
        Ok(s) if s < YEAR_10000 => {
            let moment = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(s)).to_string();
            moment.replace('T', " ").replace('Z', " UTC")
        }
        _ => format!("{sec} s since 1970, UTC"),
    }
}

/// Words, broken into lines of at most `width` columns.
pub fn wrap<S: AsRef<str>>(words: impl IntoIterator<Item = S>, width: usize) -> String {
    let mut out = String::new();
    let mut column = 0;
    for word in words {
        let word = word.as_ref();
        let len = word.width();
        if column > 0 && column + 1 + len > width {
            out.push('\n');
            column = 0;
        } else if column > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += len;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_as_it_is() {
        assert_eq!(shown(b"a\x1b[31m\xff\n\\"), "a\\u{1b}[31m\\xff\\n\\\\");
        assert_eq!(shown("\u{202e}ü".as_bytes()), "\\u{202e}ü");
        assert_eq!(clipped(b"abcdef", 2), "ab... (4 bytes more)");
    }

    #[test]
    fn sizes() {
        let all = [0, 1023, 1024, 4096, 5000, 1 << 20, 102_400 + 1, u64::MAX].map(size);
        assert_eq!(all, ["0 B", "1023 B", "1 KiB", "4 KiB", "4.8 KiB", "1 MiB", "100 KiB", "15.9 EiB"]);
    }

    #[test]
    fn times() {
        assert_eq!(time(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(time(951_782_400), "2000-02-29 00:00:00 UTC");
        assert_eq!(time(253_402_300_799), "9999-12-31 23:59:59 UTC");
        assert_eq!(time(-1), "-1 s since 1970, UTC");
        assert!(time(i64::MAX).ends_with("UTC") && time(i64::MIN).ends_with("UTC"));
        assert_eq!(duration(4_500_000_000), "4.500 s");
    }

    #[test]
    fn arguments() {
        assert_eq!(command_line(b"sh\0-c\0echo 'x'\0\0", 100), "sh -c 'echo '\\''x'\\''' ''");
        assert_eq!(command_line(b"abc\0def\0", 4), "abc '' ... (3 bytes more)");
    }
}
