//! x87, SSE, AVX, AVX-512 and the other components of the XSAVE area.

use cryo_format::section::xstate::{LEGACY_LEN, Xstate};

use super::{Cx, Print, fpu};
use crate::block::{Blocks, Cell, Table};

/// Offset of XSTATE_BV in the XSAVE header.
const XSTATE_BV: usize = LEGACY_LEN;

// Numbers of components.
const AVX: u32 = 2;
const OPMASK: u32 = 5;
const ZMM_HI256: u32 = 6;
const HI16_ZMM: u32 = 7;
const PKRU: u32 = 9;

impl Print for Xstate {
    const TITLE: &'static str = "extended registers";

    fn print(&self, out: &mut Blocks, _: &Cx<'_>) {
        let area = &self.area[..];
        // Without the XSAVE header (FXSAVE) x87 and SSE are all there is.
        let used = if area.len() >= XSTATE_BV + 8 { word(area, XSTATE_BV) } else { 0b11 };
        write!(out, "in use: ");
        out.value("in_use", fpu::components(used));
        write!(out, "   enabled: ");
        out.value("enabled", fpu::components(self.xcr0.0));
        writeln!(out);
        let short = |at: usize| word(area, at) as u16;
        if used & 1 != 0 {
            for (name, word, says) in [("fcw", short(0), fpu::fcw(short(0))), ("fsw", short(2), fpu::fsw(short(2)))] {
                write!(out, "{name} ");
                out.value(name, Cell::hex(format!("{word:04x}  {says}"), word.into()));
                writeln!(out);
            }
            self.x87(out);
        }
        // MXCSR is saved with SSE or AVX (SDM vol. 1, 13.7).
        if used & 0b110 != 0 {
            let mxcsr = word(area, 24) as u32;
            write!(out, "mxcsr ");
            out.value("mxcsr", Cell::hex(format!("{mxcsr:08x}  {}", fpu::mxcsr(mxcsr)), mxcsr.into()));
            writeln!(out);
        }
        self.vectors(used, out);
        if let Some(masks) = self.component(OPMASK, used) {
            for (k, bytes) in masks.chunks_exact(8).enumerate().filter(|(_, b)| b.iter().any(|b| *b != 0)) {
                write!(out, "k{k}     ");
                out.value(format!("k{k}"), number(bytes));
                writeln!(out);
            }
        }
        if let Some(pkru) = self.component(PKRU, used) {
            write!(out, "pkru   ");
            out.value("pkru", number(&pkru[..pkru.len().min(4)]));
            writeln!(out);
        }
        let shown = [AVX, OPMASK, ZMM_HI256, HI16_ZMM, PKRU];
        for c in self.layout.iter().filter(|c| !shown.contains(&c.number)) {
            if self.component(c.number, used).is_some() {
                writeln!(out, "{}: {} bytes at {:#x} of the area", fpu::component(c.number), c.size, c.offset);
            }
        }
    }
}

trait Area {
    fn component(&self, number: u32, used: u64) -> Option<&[u8]>;
    fn x87(&self, out: &mut Blocks);
    fn vector(&self, i: usize, used: u64) -> Vec<u8>;
    fn vectors(&self, used: u64, out: &mut Blocks);
}

impl Area for Xstate {
    /// The bytes of a component that is in use.
    fn component(&self, number: u32, used: u64) -> Option<&[u8]> {
        let c = self.layout.iter().find(|c| c.number == number)?;
        let in_use = 1u64.checked_shl(number).is_some_and(|bit| used & bit != 0);
        let start = c.offset as usize;
        in_use.then(|| self.area.get(start..start.checked_add(c.size as usize)?)).flatten()
    }

    /// The registers of the x87 stack that are not empty.
    fn x87(&self, out: &mut Blocks) {
        let (tags, top) = (self.area[4], usize::from(self.area[3] >> 3 & 7));
        for i in 0..8 {
            let at = 32 + 16 * i;
            // The tag byte goes by physical registers, the area by the stack.
            if tags & 1 << ((top + i) % 8) == 0 {
                continue;
            }
            if let Some(bytes) = self.area.get(at..at + 10).and_then(|b| <&[u8; 10]>::try_from(b).ok()) {
                write!(out, "st{i}    ");
                let value = fpu::float80(bytes);
                out.value(format!("st{i}"), Cell::new(format!("{}  {value}", number(bytes)), number(bytes)));
                writeln!(out);
            }
        }
    }

    /// A vector register in its full width; the parts that are not in use are zero.
    fn vector(&self, i: usize, used: u64) -> Vec<u8> {
        let mut register = vec![0; 64];
        let mut part = |to: usize, len: usize, from: Option<&[u8]>| {
            if let Some(bytes) = from {
                register[to..to + len].copy_from_slice(bytes);
            }
        };
        if i >= 16 {
            let all = self.component(HI16_ZMM, used);
            part(0, 64, all.and_then(|b| b.get(64 * (i - 16)..64 * (i - 15))));
        } else {
            let at = 160 + 16 * i;
            part(0, 16, self.area.get(at..at + 16).filter(|_| used & 0b10 != 0));
            part(16, 16, self.component(AVX, used).and_then(|b| b.get(16 * i..16 * i + 16)));
            part(32, 32, self.component(ZMM_HI256, used).and_then(|b| b.get(32 * i..32 * i + 32)));
        }
        register
    }

    /// Each register that is not zero, by the name of the width that it needs.
    fn vectors(&self, used: u64, out: &mut Blocks) {
        let shown = in_use(self, used);
        for (i, name, register) in &shown {
            let whole = number(register);
            let text = match register.split_at_checked(32) {
                Some((low, high)) if !high.is_empty() => format!("{}\n{:6} {}", number(high), "", number(low)),
                _ => whole.clone(),
            };
            write!(out, "{name:6} ");
            // Programs find it under one name, however wide its content is.
            out.value(format!("zmm{i}"), Cell::new(text, whole));
            writeln!(out);
        }
        let zero = numbers(used).len() - shown.len();
        if zero > 0 {
            out.caption(format!("({zero} vector registers are zero)"));
        }
    }
}

/// What a vector register is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[allow(missing_docs)] // their names say it
pub enum Lane {
    U8,
    U16,
    U32,
    U64,
    I32,
    I64,
    F32,
    F64,
}

impl Lane {
    /// Bytes of one.
    pub fn width(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::U16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }
}

/// Numbers of the vector registers that there are.
fn numbers(used: u64) -> std::ops::Range<usize> {
    0..if used & 1 << HI16_ZMM == 0 { 16 } else { 32 }
}

/// Each vector register that is not zero: its number, its name by the width that it needs, and its bytes in this width.
fn in_use(x: &Xstate, used: u64) -> Vec<(usize, String, Vec<u8>)> {
    let one = |i: usize| {
        let mut register = x.vector(i, used);
        let (name, width) = match register.iter().rposition(|b| *b != 0)? {
            0..16 => ("xmm", 16),
            16..32 => ("ymm", 32),
            _ => ("zmm", 64),
        };
        register.truncate(width);
        Some((i, format!("{name}{i}"), register))
    };
    numbers(used).filter_map(one).collect()
}

/// Every vector register that is not zero, in lanes, the lowest first.
pub fn lanes(x: &Xstate, lane: Lane) -> Table {
    let used = if x.area.len() >= XSTATE_BV + 8 { word(&x.area, XSTATE_BV) } else { 0b11 };
    let mut table = Table::new(&["register", "lanes"]);
    for (_, name, register) in in_use(x, used) {
        let values = values(&register, lane);
        let text = values.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        table.row([Cell::from(name), Cell::new(text, values)]);
    }
    table
}

/// Bytes as numbers of this type.
pub fn values(bytes: &[u8], lane: Lane) -> Vec<serde_json::Value> {
    macro_rules! all {
        ($type:ty) => {{
            let (chunks, _) = bytes.as_chunks::<{ size_of::<$type>() }>();
            chunks.iter().map(|b| <$type>::from_le_bytes(*b)).map(|n| serde_json::json!(n)).collect()
        }};
    }
    match lane {
        Lane::U8 => all!(u8),
        Lane::U16 => all!(u16),
        Lane::U32 => all!(u32),
        Lane::U64 => all!(u64),
        Lane::I32 => all!(i32),
        Lane::I64 => all!(i64),
        Lane::F32 => floats(bytes.as_chunks::<4>().0.iter().map(|b| f64::from(f32::from_le_bytes(*b)))),
        Lane::F64 => floats(bytes.as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b))),
    }
}

/// JSON has no infinities: what is no number is its name.
fn floats(all: impl Iterator<Item = f64>) -> Vec<serde_json::Value> {
    all.map(|f| serde_json::Number::from_f64(f).map_or_else(|| f.to_string().into(), Into::into)).collect()
}

/// Eight bytes, or as many as there are, as a little-endian number.
fn word(area: &[u8], at: usize) -> u64 {
    let bytes = area.get(at..).unwrap_or_default();
    bytes.iter().take(8).rev().fold(0, |n, b| n << 8 | u64::from(*b))
}

/// A little-endian number in hex, most significant digit first, in groups of 16 digits.
fn number(bytes: &[u8]) -> String {
    let groups = bytes.rchunks(8).len();
    let mut text = String::with_capacity(bytes.len() * 2 + groups);
    for (i, b) in bytes.iter().enumerate().rev() {
        text += &format!("{b:02x}");
        if i % 8 == 0 && i != 0 {
            text.push('_');
        }
    }
    text
}
