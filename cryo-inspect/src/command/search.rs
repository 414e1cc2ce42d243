//! `search`: where something stands in memory.

use std::io::Write;

use anyhow::{Context, bail};
use clap::Args;
use regex::bytes::{Regex, RegexBuilder};

use super::map::Filter;
use super::rows::Rows;
use super::{Format, Look};
use crate::Outcome;
use crate::block::Cell;
use crate::modules::Modules;
use crate::scan::scan;
use crate::space::{Place, Run, Space};
use crate::target::find;
use crate::text::clipped;

/// Where something stands in memory: text, bytes, what a pattern matches, or pointers to a place
///
/// Exit status: 0 found, 1 not found, 2 something went wrong. Memory is read a piece at a time, whatever the size of the image; of pages that are all
/// zero nothing is found. A match has at most 4096 bytes.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cryo-inspect search 4242.freeze --text 'BEGIN PRIVATE KEY'
  cryo-inspect search 4242.freeze --bytes 'de ad ?? ef'
  cryo-inspect search 4242.freeze --regex '[0-9]{4}-[0-9]{2}-[0-9]{2}' --kind heap
  cryo-inspect search 4242.freeze --pointer-to 'main'            who holds a pointer to it
  cryo-inspect search 4242.freeze --pointer-to '[heap]' --kind stack
  cryo-inspect search 4242.freeze --u32 0xcafe --format jsonl")]
pub struct Search {
    #[command(flatten)]
    look: Look,
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    filter: Filter,
    /// Stop after so many (0: never)
    #[arg(long, default_value_t = 1000)]
    max: u64,
    /// Bytes that are shown before and behind
    #[arg(short = 'C', long, default_value_t = 16)]
    context: u64,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct What {
    /// This text
    #[arg(long)]
    text: Option<String>,
    /// These bytes in hex; ?? is any
    #[arg(long, value_name = "HEX")]
    bytes: Option<String>,
    /// What this regular expression matches (bytes, not characters; \xNN)
    #[arg(long)]
    regex: Option<String>,
    /// Words that point into this place: ADDR, SYMBOL, SEGMENT, RANGE
    #[arg(long, value_name = "WHERE")]
    pointer_to: Option<String>,
    /// This number of four bytes
    #[arg(long, value_name = "N")]
    u32: Option<String>,
    /// This number of eight bytes
    #[arg(long, value_name = "N")]
    u64: Option<String>,
}

impl What {
    /// As a pattern; none for pointers.
    fn pattern(&self) -> anyhow::Result<Option<Regex>> {
        let escaped = |bytes: &[u8]| bytes.iter().map(|b| format!("\\x{b:02x}")).collect::<Vec<_>>().concat();
        let number = |text: &str| crate::address::number(text);
        let source = if let Some(text) = &self.text {
            escaped(text.as_bytes())
        } else if let Some(hex) = &self.bytes {
            hex_pattern(hex)?
        } else if let Some(regex) = &self.regex {
            regex.clone()
        } else if let Some(n) = &self.u32 {
            escaped(&u32::try_from(number(n)?).context("more than four bytes")?.to_le_bytes())
        } else if let Some(n) = &self.u64 {
            escaped(&number(n)?.to_le_bytes())
        } else {
            return Ok(None);
        };
        anyhow::ensure!(!source.is_empty(), "nothing to search for");
        let built = RegexBuilder::new(&source).unicode(false).dot_matches_new_line(true).build();
        Ok(Some(built.map_err(|e| super::no_pattern(&source, &e))?))
    }
}

/// `de ad ?? ef`
fn hex_pattern(text: &str) -> anyhow::Result<String> {
    let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    let mut pattern = String::new();
    for pair in digits.chunks(2) {
        match pair {
            ['?', '?'] => pattern.push_str("(?s:.)"),
            [a, b] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => pattern += &format!("\\x{a}{b}"),
            _ => bail!("{text}: two hex digits for each byte, or ?? for any"),
        }
    }
    Ok(pattern)
}

impl Search {
    /// Writes them.
    pub fn run(&self, out: &mut dyn Write) -> anyhow::Result<Outcome> {
        let opened = self.look.open()?;
        let pattern = self.what.pattern()?;
        let mut rows = Rows::new(&["pid", "address", "at", "hex", "text"], self.look.format, out)?;
        let mut more = false;
        for (cx, threads) in opened.processes() {
            let main = threads.first().map_or_else(|| super::thread_of(&cx, cx.owner), |id| super::thread_of(&cx, *id));
            let pid = cx.ice.get::<cryo_format::section::process::Process>(cx.owner).map_or(0, |p| p.pid);
            let mut space = Space::of(cx.ice, cx.owner)?;
            let mut around = Space::of(cx.ice, cx.owner)?;
            let modules = Modules::of(&cx, &mut space)?;
            let ranges = self.filter.ranges(&space)?;
            let mut hit = |addr: u64, bytes: &[u8]| {
                if self.max > 0 && rows.written >= self.max {
                    more = true;
                    return Ok(false);
                }
                let start = addr.saturating_sub(self.context).max(around.run(addr).map_or(addr, |r| r.start));
                let shown =
                    around.bytes(start, (addr - start) as usize + bytes.len().min(64) + self.context as usize)?;
                let at = modules.name(addr).or_else(|| cx.at(addr)).unwrap_or_default();
                let hex: Vec<String> = bytes.iter().take(16).map(|b| format!("{b:02x}")).collect();
                let dots = if bytes.len() > 16 { "..." } else { "" };
                let cells = [
                    Cell::number(pid),
                    Cell::hex(format!("{addr:012x}"), addr),
                    at.into(),
                    Cell::new(format!("{}{dots}", hex.join(" ")), cryo_format::prim::hex(bytes)),
                    Cell::new(printable(&shown), clipped(&shown, 4096)),
                ];
                if self.look.format == Format::Table {
                    let [_, address, at, hex, text] = cells;
                    rows.row(&[address, at, hex, text])?;
                } else {
                    rows.row(&cells)?;
                }
                Ok(true)
            };
            match &pattern {
                Some(pattern) => scan(&mut space, &ranges, pattern, &mut hit)?,
                None => {
                    let text = self.what.pointer_to.as_deref().unwrap_or_default();
                    let target = find(text, &main, &space, &modules)?;
                    let (lo, hi) = (target.start, target.start.saturating_add(target.len.unwrap_or(1).max(1)));
                    pointers(&mut space, &ranges, lo, hi, &mut hit)?;
                }
            }
        }
        let found = rows.written;
        rows.end()?;
        if more {
            crate::say(&format!("there are more than {}: --max 0 shows all", self.max));
        }
        let outcome = opened.outcome();
        Ok(if found == 0 { outcome.max(Outcome::Problems) } else { outcome })
    }
}

/// As beside a hex dump.
fn printable(bytes: &[u8]) -> String {
    bytes.iter().map(|b| if matches!(b, b' '..=b'~') { char::from(*b) } else { '.' }).collect()
}

/// Words, at addresses that are a multiple of their size.
fn pointers(
    space: &mut Space<'_>,
    ranges: &[(u64, u64)],
    lo: u64,
    hi: u64,
    hit: &mut dyn FnMut(u64, &[u8]) -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    const PIECE: usize = 1 << 20;
    let size = space.word_size();
    let mut piece = vec![0; PIECE];
    for (start, end) in ranges {
        let runs: Vec<Run> = space.within(*start, *end).collect();
        for run in runs.iter().filter(|r| !matches!(r.place, Place::Zero | Place::Absent)) {
            let mut here = run.start.next_multiple_of(size);
            while here < run.end {
                let n = (run.end - here).min(PIECE as u64) as usize;
                let got = space.read(here, &mut piece[..n])?;
                for (i, word) in piece[..got].chunks_exact(size as usize).enumerate() {
                    let value = word.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte));
                    if (lo..hi).contains(&value) && !hit(here + i as u64 * size, word)? {
                        return Ok(());
                    }
                }
                if got < n {
                    break;
                }
                here += n as u64;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn bytes_as_people_write_them() {
        assert_eq!(hex_pattern("de AD ??ef").unwrap(), r"\xde\xAD(?s:.)\xef");
        assert!(hex_pattern("d").is_err() && hex_pattern("zz").is_err());
    }
}
