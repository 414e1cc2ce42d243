//! What is compared, with another image or with this machine: `diff`, `check`.

use cryo_format::prim::Addr;
use schemars::JsonSchema;
use serde_json::Value;

/// What is different.
#[derive(JsonSchema)]
pub struct Diff {
    /// What could not be compared.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Sections of the whole image that differ, by their headings.
    pub image: Option<Sections>,
    /// Processes that differ.
    #[serde(default)]
    pub processes: Vec<ProcessDiff>,
}

/// Sections that differ, by their headings; with --show-unchanged those that do not, too, with nothing in them.
#[derive(JsonSchema)]
#[schemars(transparent)]
pub struct Sections(pub std::collections::BTreeMap<String, Section>);

/// A section that differs.
#[derive(JsonSchema)]
pub struct Section {
    /// How.
    #[serde(default)]
    pub changes: Vec<Change>,
}

/// A difference.
#[derive(JsonSchema)]
pub struct Change {
    /// `added`, `removed`, `changed` or `moved`.
    pub change: String,
    /// Where: `[fd=3].what.file.offset`.
    pub what: String,
    /// What was there.
    pub before: Option<Value>,
    /// What is there.
    pub after: Option<Value>,
}

/// A process that differs. Besides these members it has one for each section that differs, as an image has.
#[derive(JsonSchema)]
pub struct ProcessDiff {
    /// Which it is: `process 4242`, with `+` or `-` before it if only one of the two has it.
    pub process: String,
    /// What could not be compared.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Threads that differ.
    #[serde(default)]
    pub threads: Vec<ThreadDiff>,
    /// Segments with other bytes.
    #[serde(default)]
    pub memory: Vec<SegmentDiff>,
    /// With --bytes: the bytes that differ.
    #[serde(default)]
    pub bytes: Vec<BytesDiff>,
    /// Its sections.
    #[serde(flatten)]
    pub sections: std::collections::BTreeMap<String, Section>,
}

/// A thread that differs, with a member for each section that does.
#[derive(JsonSchema)]
pub struct ThreadDiff {
    /// Which it is.
    pub thread: String,
    /// Its sections.
    #[serde(flatten)]
    pub sections: std::collections::BTreeMap<String, Section>,
}

/// A segment with other bytes.
#[derive(JsonSchema)]
pub struct SegmentDiff {
    /// `changed`.
    pub change: String,
    /// First address and the first behind it, in hex.
    pub range: String,
    /// `rwx`, and `p` for private or `s` for shared.
    pub perm: String,
    /// Pages that differ.
    pub pages: u64,
    /// Bytes that differ.
    pub bytes: u64,
    /// The first of them.
    pub first: Addr,
    /// What the segment is.
    pub what: String,
}

/// Lines of bytes that differ.
#[derive(JsonSchema)]
pub struct BytesDiff {
    /// The segment.
    pub range: String,
    /// `-` and `+` lines, as in a hex dump.
    #[serde(default)]
    pub lines: Vec<String>,
}

/// A condition of a thaw.
#[derive(JsonSchema)]
pub struct Condition {
    /// Which.
    pub condition: String,
    /// `yes` or `no`.
    pub answer: String,
    /// What was found, or what makes it yes.
    pub what: String,
}
