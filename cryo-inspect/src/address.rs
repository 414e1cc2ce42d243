//! Addresses as people write them.

use anyhow::{Context, bail};

/// `0x7f00`, `7f00`: in hex, with or without the prefix.
pub fn hex(text: &str) -> anyhow::Result<u64> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    u64::from_str_radix(&digits.replace('_', ""), 16).with_context(|| format!("{text} is no address in hex"))
}

/// A number: `16`, `0x10`, `4k`, `1M`.
pub fn number(text: &str) -> anyhow::Result<u64> {
    let wrong = || format!("{text} is no number");
    if let Some(digits) = text.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16).with_context(wrong);
    }
    let (digits, shift) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (&text[..at], 10),
        Some((at, 'm' | 'M')) => (&text[..at], 20),
        Some((at, 'g' | 'G')) => (&text[..at], 30),
        _ => (text, 0),
    };
    let n: u64 = digits.parse().with_context(wrong)?;
    n.checked_shl(shift).filter(|shifted| shifted >> shift == n).with_context(wrong)
}

/// `START-END`, `START+LEN`, or one address for the byte there. END is the first address behind the range.
pub fn range(text: &str) -> anyhow::Result<(u64, u64)> {
    let (start, end) = if let Some((start, end)) = text.split_once('-') {
        (hex(start)?, hex(end)?)
    } else if let Some((start, len)) = text.split_once('+') {
        let start = hex(start)?;
        (start, start.saturating_add(number(len)?))
    } else {
        let start = hex(text)?;
        (start, start.saturating_add(1))
    };
    if start >= end {
        bail!("the range {text} is empty");
    }
    Ok((start, end))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn as_people_write_them() {
        assert_eq!(hex("7f_00").unwrap(), 0x7f00);
        assert_eq!(hex("0x7f00").unwrap(), 0x7f00);
        assert_eq!([number("16").unwrap(), number("0x10").unwrap(), number("4k").unwrap()], [16, 16, 4096]);
        assert_eq!(range("1000-2000").unwrap(), (0x1000, 0x2000));
        assert_eq!(range("0x1000+16").unwrap(), (0x1000, 0x1010));
        assert!(range("2000-1000").is_err() && number("99999999999G").is_err() && hex("xyz").is_err());
    }
}
