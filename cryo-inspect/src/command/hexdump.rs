//! `hexdump`: bytes of memory.

use std::io::Write;

use clap::{Args, ValueEnum};
use pretty_hex::{HexConfig, config_hex};

use super::{Format, Look};
use crate::Outcome;
use crate::arch::Arch;
use crate::block::{Blocks, Cell, Fields, Mark, Table};
use crate::draw::style::paint;
use crate::modules::Modules;
use crate::print::Cx;
use crate::print::xstate::{Lane, values};
use crate::space::Space;
use crate::target::find;
use crate::text::{clipped, count, size};

/// Bytes that are shown where nothing says how many.
const FEW: u64 = 256;
/// Whole symbols and segments are shown up to this length.
const MANY: u64 = 4096;

/// Bytes of memory, as hex and text or as numbers; equal lines are folded, and counted
///
/// WHERE is an address in hex, a symbol, a register ($rsp), a segment as `map` names it (`[stack]`, libc.so.6), or a range START-END; +LEN says how
/// much. Bytes that the image does not have are said to be missing.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cryo-inspect hexdump 4242.freeze '$rsp+64'
  cryo-inspect hexdump 4242.freeze main
  cryo-inspect hexdump 4242.freeze '[stack]+4k' --as ptr
  cryo-inspect hexdump 4242.freeze 7ffd4129d300-7ffd4129d340
  cryo-inspect hexdump 4242.freeze counter --as all            one value in every type")]
pub struct Hexdump {
    #[command(flatten)]
    look: Look,
    /// What to show: ADDR, SYMBOL, $REGISTER, SEGMENT, each with +LEN, or START-END
    #[arg(value_name = "WHERE", allow_hyphen_values = true)]
    place: String,
    /// Show numbers of this type, or (all) what the first bytes are in every type
    #[arg(long = "as", value_enum, value_name = "TYPE")]
    shown_as: Option<As>,
    /// Show equal lines, too
    #[arg(long)]
    no_fold: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum As {
    U8,
    U16,
    U32,
    U64,
    I32,
    I64,
    F32,
    F64,
    /// Addresses, with what they point to
    Ptr,
    /// Every type
    All,
}

impl As {
    fn lane(self, arch: Arch) -> (Lane, usize) {
        let lane = match self {
            Self::Ptr if arch == Arch::I386 => Lane::U32,
            Self::U8 => Lane::U8,
            Self::U16 => Lane::U16,
            Self::U32 => Lane::U32,
            Self::I32 => Lane::I32,
            Self::I64 => Lane::I64,
            Self::F32 => Lane::F32,
            Self::F64 => Lane::F64,
            Self::U64 | Self::Ptr | Self::All => Lane::U64,
        };
        (lane, lane.width())
    }
}

impl Hexdump {
    /// Shows them.
    pub fn run(&self, out: &mut dyn Write) -> anyhow::Result<Outcome> {
        let opened = self.look.open()?;
        let process = opened.process()?;
        let cx = opened.main_thread(&process);
        let mut space = Space::of(cx.ice, process.owner)?;
        let modules = Modules::of(&cx, &mut space)?;
        let target = find(&self.place, &cx, &space, &modules)?;
        let said = self.place.contains('+') || target.len.is_some_and(|n| n <= MANY);
        let len = if said { target.len.unwrap_or(FEW) } else { FEW };
        let end = target.start.saturating_add(len);
        if self.look.format != Format::Table || matches!(self.shown_as, Some(As::All)) {
            let bytes = space.bytes(target.start, usize::try_from(len).unwrap_or(usize::MAX).min(1 << 30))?;
            let mut blocks = Blocks::default();
            match self.shown_as {
                Some(As::All) => blocks.fields(all(target.start, &bytes, &cx, &modules)),
                Some(kind) => {
                    blocks.table(table(target.start, &bytes, kind.lane(cx.arch()), kind == As::Ptr, &modules));
                }
                None => blocks.bytes(target.start, &bytes, usize::MAX),
            }
            return self.look.draw(&opened, blocks, out);
        }
        let missing = self.lines(target.start, end, &mut space, &cx, &modules, out)?;
        if let Some(whole) = target.len.filter(|whole| *whole > len) {
            writeln!(out, "... ({} more: +LEN shows them)", size(whole - len))?;
        }
        out.flush()?;
        Ok(if missing { opened.outcome().max(Outcome::Problems) } else { opened.outcome() })
    }

    /// Line by line, whatever the length. Was something missing?
    fn lines(
        &self,
        start: u64,
        end: u64,
        space: &mut Space<'_>,
        cx: &Cx<'_>,
        modules: &Modules,
        out: &mut dyn Write,
    ) -> anyhow::Result<bool> {
        let mut here = start;
        let mut missing = false;
        let mut last: Option<Vec<u8>> = None;
        let mut folded = 0u64;
        let unfold = |folded: &mut u64, out: &mut dyn Write| -> std::io::Result<()> {
            match std::mem::take(folded) {
                0 => Ok(()),
                n => writeln!(out, "{}", paint(Mark::Faint, &format!("*  {} like this", count(n, "line", "lines")))),
            }
        };
        while here < end {
            // Numbers are cut where the first of them begins, bytes where addresses are round.
            let aligned = if self.shown_as.is_some() { start + ((here - start) & !15) } else { here & !15 };
            let line_end = aligned.saturating_add(16).min(end);
            let bytes = space.bytes(here, (line_end - here) as usize)?;
            if bytes.is_empty() {
                unfold(&mut folded, out)?;
                last = None;
                missing = true;
                let next = space.runs()[space.runs().partition_point(|r| r.end <= here)..].iter();
                let next = next.map(|r| if r.start <= here { r.end } else { r.start }).next().unwrap_or(end).min(end);
                writeln!(out, "{}", paint(Mark::Warn, &format!("{here:012x}-{next:012x}: not in the image")))?;
                here = next.max(here + 1);
                continue;
            }
            if !self.no_fold && bytes.len() == 16 && last.as_ref() == Some(&bytes) && line_end < end {
                folded += 1;
                // Where everything is zero up to the end of the run, nothing need be read.
                if bytes.iter().all(|b| *b == 0)
                    && let Some(run) = space.run(here).filter(|r| r.place == crate::space::Place::Zero)
                {
                    let stop = run.end.min(end).saturating_sub(32) & !15;
                    if stop > line_end {
                        folded += (stop - line_end) / 16;
                        here = stop;
                        continue;
                    }
                }
            } else {
                unfold(&mut folded, out)?;
                writeln!(out, "{}", self.line(here, &bytes, cx, modules))?;
                last = Some(bytes.clone());
            }
            here += bytes.len() as u64;
        }
        unfold(&mut folded, out)?;
        Ok(missing)
    }

    /// A line. pretty-hex has no colours, folds nothing, and begins at no address that is not the first of a line.
    fn line(&self, at: u64, bytes: &[u8], cx: &Cx<'_>, modules: &Modules) -> String {
        let head = paint(Mark::Faint, &format!("{at:012x}"));
        if let Some(kind) = self.shown_as {
            let (lane, width) = kind.lane(cx.arch());
            let values = values(bytes, lane);
            let cells: Vec<String> = if kind == As::Ptr {
                let (words, digits) = (values.iter().filter_map(serde_json::Value::as_u64), width * 2);
                words.map(|v| format!("{v:0digits$x} {:24}", pointed(v, cx, modules))).collect()
            } else {
                values.iter().map(|v| format!("{:>1$}", v.to_string(), [4, 6, 0, 11, 0, 0, 0, 20][width - 1])).collect()
            };
            let left = &bytes[bytes.len() - bytes.len() % width..];
            let left = if left.is_empty() { String::new() } else { format!("  ({} left)", spaced(left)) };
            return format!("{head}  {}{left}", cells.join(" ").trim_end());
        }
        let lead = (at & 15) as usize;
        let mut hex = " ".repeat(lead * 3 + usize::from(lead > 8));
        let mut text = " ".repeat(lead);
        for (i, b) in bytes.iter().enumerate() {
            if lead + i == 8 {
                hex.push(' ');
            }
            hex += &paint(class(*b), &format!("{b:02x}"));
            hex.push(' ');
            text += &paint(class(*b), &char::from(if matches!(b, b' '..=b'~') { *b } else { b'.' }).to_string());
        }
        let columns = (lead + bytes.len()) * 3 + usize::from(lead + bytes.len() > 8);
        let fill = 49usize.saturating_sub(columns);
        format!("{head}  {hex}{:fill$} |{text}|", "")
    }
}

/// What kind of byte it is.
fn class(b: u8) -> Mark {
    match b {
        0 => Mark::Faint,
        b' '..=b'~' => Mark::Added,
        0xff => Mark::Removed,
        1..0x20 | 0x7f => Mark::Warn,
        _ => Mark::None,
    }
}

/// What an address points to, in a few words.
pub fn pointed(addr: u64, cx: &Cx<'_>, modules: &Modules) -> String {
    modules.name(addr).or_else(|| cx.at(addr)).unwrap_or_default()
}

fn table(start: u64, bytes: &[u8], (lane, width): (Lane, usize), pointers: bool, modules: &Modules) -> Table {
    let mut table = Table::new(&["address", "value", "points to"]);
    for (i, value) in values(bytes, lane).into_iter().enumerate() {
        let at = start + (i * width) as u64;
        let to = value.as_u64().filter(|_| pointers).and_then(|v| modules.name(v)).unwrap_or_default();
        let value = match value.as_u64() {
            Some(v) if pointers => Cell::hex(format!("{v:#x}"), v),
            _ => Cell::new(value.to_string(), value),
        };
        table.row([Cell::hex(format!("{at:012x}"), at), value, to.into()]);
    }
    let whole = bytes.len() - bytes.len() % width;
    if whole < bytes.len() {
        let (at, left) = (start + whole as u64, spaced(&bytes[whole..]));
        table.row([Cell::hex(format!("{at:012x}"), at), Cell::from(format!("{left} left")), Cell::from("")]);
    }
    table
}

/// `0a 0b`
fn spaced(bytes: &[u8]) -> String {
    let one_line = HexConfig { title: false, ascii: false, width: 0, group: 0, ..HexConfig::default() };
    config_hex(&bytes, one_line)
}

/// The first bytes in every type.
pub fn all(start: u64, bytes: &[u8], cx: &Cx<'_>, modules: &Modules) -> Fields {
    let mut fields = Fields::default();
    fields.add("address", Cell::hex(format!("{start:#x} {}", cx.at(start).unwrap_or_default()), start));
    for lane in Lane::value_variants() {
        let (name, width) = (format!("{lane:?}").to_lowercase(), lane.width());
        if let Some(value) = bytes.get(..width).and_then(|b| values(b, *lane).into_iter().next()) {
            let hex = value.as_u64().filter(|_| width > 1).map_or_else(String::new, |v| format!("  {v:#x}"));
            fields.add(&name, Cell::new(format!("{value}{hex}"), value));
        }
    }
    let word = bytes.get(..cx.arch().word()).map(|b| b.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)));
    if let Some(word) = word {
        fields.add("pointer to", modules.name(word).or_else(|| cx.at(word)).unwrap_or_else(|| "nothing".to_owned()));
        let seconds = i64::try_from(word).ok().filter(|s| (0..=1 << 40).contains(s));
        if let Some(s) = seconds {
            fields.add("time", crate::text::time(s));
        }
    }
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    fields.add("text", clipped(&bytes[..end], 100));
    fields
}
