//! What is in memory: `stats`, `hexdump`, `telescope`, `bt`, `disas`, `symbols`, `strings`, `search`.

use cryo_format::prim::{Addr, Blob};
use schemars::JsonSchema;
use serde_json::Value;

use super::rows::{Of, Rows};

/// What memory is made of.
#[derive(JsonSchema)]
pub struct Stats {
    /// Segments of which anything is in the image.
    pub segments: Vec<SegmentStats>,
    /// All of them.
    pub sum: SumStats,
}

/// What a segment is made of.
#[derive(JsonSchema)]
pub struct SegmentStats {
    /// First address and the first behind it, in hex.
    pub range: String,
    /// `rwx`, and `p` for private or `s` for shared.
    pub perm: String,
    /// Pages that were looked at.
    pub pages: u64,
    /// Those that are zero.
    pub zero: u64,
    /// Those that are the same as one before them.
    pub again: u64,
    /// Bits of information in a byte, 0 to 8.
    pub entropy: f64,
    /// Of a hundred bytes those that LZ4 saves, in a sample; null if nothing was in it.
    pub compressible: Option<u64>,
    /// What the segment is.
    pub what: String,
}

/// What all of it is made of.
#[derive(JsonSchema)]
pub struct SumStats {
    /// Pages that were looked at.
    pub pages: u64,
    /// Those that are zero.
    pub zero: u64,
    /// Those that are the same as one before them.
    pub again: u64,
    /// Bits of information in a byte, 0 to 8.
    pub entropy: f64,
    /// Of a hundred bytes those that LZ4 saves, in a sample; null if nothing was in it.
    pub compressible: Option<u64>,
}

/// Bytes; with --as numbers, or what the first bytes are in every type.
#[derive(JsonSchema)]
#[serde(untagged)]
pub enum Hexdump {
    /// Bytes.
    Bytes {
        /// Where the first one stands.
        address: Addr,
        /// They themselves.
        hex: Blob,
        /// So many more were left out.
        more: u64,
    },
    /// Numbers.
    Numbers(Vec<NumberAt>),
    /// Every type.
    All(Box<EveryType>),
}

/// A number in memory.
#[derive(JsonSchema)]
pub struct NumberAt {
    /// Where it stands.
    pub address: Addr,
    /// The number; of an address a string; of what is no number its name.
    pub value: Value,
    /// With --as ptr: what stands there.
    pub points_to: String,
}

/// The first bytes in every type.
#[derive(JsonSchema)]
#[allow(missing_docs)] // each is the type of its name
pub struct EveryType {
    /// Where they stand.
    pub address: Addr,
    pub u8: Option<u8>,
    pub u16: Option<u16>,
    pub u32: Option<u32>,
    pub u64: Option<u64>,
    pub i32: Option<i32>,
    pub i64: Option<i64>,
    /// A number, or the name of what is none.
    pub f32: Option<Value>,
    /// A number, or the name of what is none.
    pub f64: Option<Value>,
    /// What stands there.
    pub pointer_to: Option<String>,
    /// As seconds since 1970.
    pub time: Option<String>,
    /// Up to the first zero.
    pub text: String,
}

/// A word, and what it leads to.
#[derive(JsonSchema)]
pub struct Word {
    /// Where it stands.
    pub address: Addr,
    /// Its distance from the first.
    pub offset: u64,
    /// The word, what stands there, and so on; at last text, if it is text. Null if the image does not have the word.
    pub leads_to: Option<Vec<String>>,
}

/// The backtraces of a process.
#[derive(JsonSchema)]
pub struct Backtraces {
    /// Each thread.
    #[serde(default)]
    pub threads: Vec<Of<Rows<Frame>>>,
}

/// A call.
#[derive(JsonSchema)]
pub struct Frame {
    /// Its number, from 0; functions that were inlined have that of the frame they are in.
    pub n: u64,
    /// Where it goes on; empty for an inlined function.
    pub pc: String,
    /// The function.
    pub function: Option<String>,
    /// The file that it is in.
    pub r#in: String,
    /// Line of the source.
    pub line: String,
    /// How the frame was found.
    pub found_by: String,
}

/// An instruction.
#[derive(JsonSchema)]
pub struct Instruction {
    /// The thread goes on here.
    pub here: bool,
    /// Its address.
    pub address: Addr,
    /// The symbol that it is in.
    pub symbol: String,
    /// Its bytes.
    pub bytes: Blob,
    /// In words.
    pub instruction: String,
}

/// A file of a process, or a symbol in one.
#[derive(JsonSchema)]
#[serde(untagged)]
pub enum ModuleOrSymbol {
    /// Where no name and no address is given.
    Module(Module),
    /// Where one is.
    Symbol(Symbol),
}

/// A file whose code is in a process.
#[derive(JsonSchema)]
pub struct Module {
    /// First address and the first behind it, in hex.
    pub range: String,
    /// How many symbols it has.
    pub symbols: u64,
    /// `the file here` or `the image`.
    pub read_from: String,
    /// Its build-id.
    pub build_id: Blob,
    /// Its path.
    pub file: String,
}

/// A symbol.
#[derive(JsonSchema)]
pub struct Symbol {
    /// Its address.
    pub address: Addr,
    /// Its length.
    pub size: u64,
    /// `code` or `data`.
    pub kind: String,
    /// The file.
    pub r#in: String,
    /// Its name.
    pub name: String,
}

/// Text in memory.
#[derive(JsonSchema)]
pub struct Text {
    /// Of which process.
    pub pid: u64,
    /// Where it stands.
    pub address: Addr,
    /// The text.
    pub text: String,
}

/// What was found in memory.
#[derive(JsonSchema)]
pub struct Found {
    /// Of which process.
    pub pid: u64,
    /// Where it stands.
    pub address: Addr,
    /// What is mapped there.
    pub at: String,
    /// What was found.
    pub hex: Blob,
    /// With what stands before and behind it.
    pub text: String,
}
