//! What is said of an image as a whole: `dump`, `verify`, `info`, `map`.

use cryo_format::dump::FileDump;
use cryo_format::prim::Blob;
use schemars::JsonSchema;

/// Every chunk with every field: the file, or the files of a set by their profiles.
#[derive(JsonSchema)]
#[serde(untagged)]
pub enum Dump {
    /// One file.
    File(FileDump),
    /// A set.
    Set(Box<Set>),
}

/// The files of a set.
#[derive(JsonSchema)]
pub struct Set {
    /// Registers and memory.
    pub freeze: Option<FileDump>,
    /// The template.
    pub frore: Option<FileDump>,
    /// What the kernel keeps.
    pub frost: Option<FileDump>,
}

/// A file that is right, or a promise that is broken.
#[derive(JsonSchema)]
pub struct Verified {
    /// The file.
    pub file: String,
    /// What is said of it.
    pub status: Status,
    /// Offset of what is broken.
    pub offset: Option<u64>,
    /// Number of the rule (spec/15-rules.md).
    pub rule: Option<u32>,
    /// What was checked, or what is wrong.
    pub what: String,
}

/// What is said of a file.
#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It keeps all rules.
    Ok,
    /// It breaks one.
    Broken,
    /// It is not there.
    Missing,
}

/// One screen.
#[derive(JsonSchema)]
pub struct Info {
    /// Of the whole image.
    pub image: Image,
    /// Of each process.
    #[serde(default)]
    pub processes: Vec<Process>,
}

/// What is said of an image.
#[derive(JsonSchema)]
pub struct Image {
    /// Its files.
    pub files: Vec<File>,
    /// What somebody should look at.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Pages that are in the image and nowhere else.
    pub pages_stored: Option<u64>,
    /// Pages that are in the image, and the same in a file.
    pub pages_as_file: Option<u64>,
    /// Pages that are zero.
    pub pages_zero: Option<u64>,
    /// When, in seconds since 1970.
    pub frozen: Option<i64>,
    /// The machine and its kernel.
    pub on: Option<String>,
    /// Nanoseconds for which the processes stood still.
    pub stood_still: Option<u64>,
    /// Name of the processor.
    pub processor: Option<String>,
    /// Sets of instructions that the processor had.
    pub needs: Option<Vec<String>>,
}

/// A file of a set.
#[derive(JsonSchema)]
pub struct File {
    /// Its name.
    pub file: String,
    /// Bytes.
    pub size: u64,
    /// Id of the set.
    pub set: Blob,
    /// Version of the format.
    pub format: String,
    /// `x86-64` or `i386`.
    pub machine: String,
    /// Bytes of a page.
    pub page: u64,
}

/// A process in a few words.
#[derive(JsonSchema)]
pub struct Process {
    /// Its id.
    pub pid: Option<u64>,
    /// Its arguments.
    pub command: String,
    /// How many threads it has.
    pub threads: u64,
    /// Bytes of its address space.
    pub memory: u64,
    /// Bytes of it in the image.
    pub stored: u64,
    /// How many descriptors it has.
    pub fds: u64,
    /// Its effective user.
    pub user: Option<u32>,
    /// What its first thread was doing.
    pub doing: String,
}

/// The segments of a process.
#[derive(JsonSchema)]
pub struct AddressSpace {
    /// In ascending order.
    pub segments: Vec<Segment>,
    /// All of them, by where their content is.
    pub sum: Sum,
}

/// A segment. Sizes are in bytes.
#[derive(JsonSchema)]
pub struct Segment {
    /// First address and the first behind it, in hex.
    pub range: String,
    /// Its length.
    pub size: u64,
    /// `rwx`, and `p` for private or `s` for shared.
    pub perm: String,
    /// In the image.
    pub stored: u64,
    /// With an object, or with the parent, in the image.
    pub shared: u64,
    /// In a file on this machine only.
    pub by_file: u64,
    /// Zero.
    pub zero: u64,
    /// The same as ten letters.
    pub places: String,
    /// What it is.
    pub what: String,
}

/// Bytes of an address space at each place; what is none is missing.
#[derive(JsonSchema)]
pub struct Sum {
    /// In the image, and nowhere else.
    pub stored: Option<u64>,
    /// In the image, and the same in a file.
    pub stored_as_file: Option<u64>,
    /// With an object in the image.
    pub shared_or_mapped_object: Option<u64>,
    /// With the parent in the image.
    pub with_the_parent: Option<u64>,
    /// In files of this machine only.
    pub in_files_here: Option<u64>,
    /// Zero.
    pub zero: Option<u64>,
    /// Nowhere.
    pub not_here: Option<u64>,
}
