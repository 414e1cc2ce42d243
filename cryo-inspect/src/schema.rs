//! What the JSON of each command is made of, as Rust types, of which `schemars` makes JSON Schemas (`cryo-inspect schema`).
//!
//! Output is not made of these types: it is drawn from [blocks](crate::block), from which everything is drawn. `tests/schema.rs` compares what every command
//! prints with its schema, so that a member which is not told here, or not there, is an error. Of `dump` the types are the format's own.
//!
//! | in Rust | in JSON |
//! |---|---|
//! | [`Addr`] | a string, `0x` and hex digits: an address or a bit pattern |
//! | [`Blob`] | a string of hex digits, two for each byte |
//! | an `Option` | is left out, or null, where it is not known |
//! | a `Map` | what the printer of a section says: its headings and labels, as `dump` shows them to people |

use cryo_format::dump::FileDump;
use cryo_format::prim::{Addr, Blob};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value};

/// Makes the schema of one command.
pub type Make = fn(&mut SchemaGenerator) -> Schema;

/// Every command that prints JSON.
pub const ALL: [(&str, Make); 25] = [
    ("dump", |g| g.subschema_for::<Dump>()),
    ("verify", |g| g.subschema_for::<Vec<Verified>>()),
    ("info", |g| g.subschema_for::<Info>()),
    ("map", |g| g.subschema_for::<Processes<AddressSpace>>()),
    ("regs", |g| g.subschema_for::<Processes<Registers>>()),
    ("syscall", |g| g.subschema_for::<Processes<Rows<Doing>>>()),
    ("fds", |g| g.subschema_for::<Processes<Descriptors>>()),
    ("signals", |g| g.subschema_for::<Processes<Signals>>()),
    ("timers", |g| g.subschema_for::<Processes<Timers>>()),
    ("tree", |g| g.subschema_for::<Vec<Member>>()),
    ("threads", |g| g.subschema_for::<Processes<Rows<Thread>>>()),
    ("env", |g| g.subschema_for::<Processes<Environment>>()),
    ("auxv", |g| g.subschema_for::<Processes<Rows<Auxiliary>>>()),
    ("notes", |g| g.subschema_for::<Vec<Note>>()),
    ("query", |g| g.subschema_for::<Vec<Value>>()),
    ("diff", |g| g.subschema_for::<Diff>()),
    ("check", |g| g.subschema_for::<Vec<Condition>>()),
    ("stats", |g| g.subschema_for::<Processes<Stats>>()),
    ("hexdump", |g| g.subschema_for::<Hexdump>()),
    ("telescope", |g| g.subschema_for::<Vec<Word>>()),
    ("bt", |g| g.subschema_for::<Processes<Backtraces>>()),
    ("disas", |g| g.subschema_for::<Vec<Instruction>>()),
    ("symbols", |g| g.subschema_for::<Processes<Rows<ModuleOrSymbol>>>()),
    ("strings", |g| g.subschema_for::<Vec<Text>>()),
    ("search", |g| g.subschema_for::<Vec<Found>>()),
];

/// The schema of what a command prints.
pub fn of(command: &str) -> Option<Value> {
    let (name, make) = ALL.iter().find(|(name, _)| *name == command)?;
    let mut g = SchemaGenerator::default();
    let schema = make(&mut g).to_value();
    Some(document(&format!("cryo-inspect {name} --format json"), schema, g.take_definitions(true)))
}

/// One document with the schemas of all commands: each is `#/$defs/COMMAND`, and the document itself is what any of them prints.
pub fn all() -> Value {
    let mut g = SchemaGenerator::default();
    let made = ALL.map(|(name, make)| (name, make(&mut g).to_value()));
    let any: Vec<Value> =
        ALL.iter().map(|(name, _)| serde_json::json!({ "$ref": format!("#/$defs/{name}") })).collect();
    let mut definitions: Map<String, Value> =
        made.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
    definitions.extend(g.take_definitions(true));
    document("cryo-inspect --format json", serde_json::json!({ "anyOf": any }), definitions)
}

fn document(title: &str, schema: Value, definitions: Map<String, Value>) -> Value {
    let mut all = Map::new();
    all.insert("$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into());
    all.insert("title".to_owned(), title.into());
    if let Value::Object(members) = schema {
        all.extend(members);
    }
    all.insert("$defs".to_owned(), definitions.into());
    all.into()
}

/// What is said of each process.
#[derive(JsonSchema)]
pub struct Processes<T> {
    /// The processes; missing if there is none in the file.
    #[serde(default)]
    pub processes: Vec<Of<T>>,
}

/// Something, with whose it is.
#[derive(JsonSchema)]
pub struct Of<T> {
    /// Id of the process.
    pub pid: Option<u64>,
    /// Id of the thread.
    pub tid: Option<u64>,
    /// Local id in the image, where no file says the other.
    pub local_id: Option<u64>,
    /// What is said.
    #[serde(flatten)]
    pub what: T,
}

/// The rows of a table.
#[derive(JsonSchema)]
pub struct Rows<T> {
    /// The rows; missing if nothing is known.
    #[serde(default)]
    pub rows: Vec<T>,
}

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

/// The registers of a process's threads.
#[derive(JsonSchema)]
pub struct Registers {
    /// Each thread.
    #[serde(default)]
    pub threads: Vec<Of<ThreadRegisters>>,
}

/// The registers of a thread.
#[derive(JsonSchema)]
pub struct ThreadRegisters {
    /// General registers.
    pub registers: Option<General>,
    /// x87, SSE, AVX, AVX-512, PKRU: those that are in use, by their names.
    pub extended_registers: Option<Map<String, Value>>,
    /// Segments of thread-local storage (set_thread_area(2)).
    pub thread_local_segments: Option<Value>,
    /// With --lanes: vector registers, lowest lane first.
    pub lanes: Option<Vec<Map<String, Value>>>,
}

/// General registers of x86-64 or i386.
#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(missing_docs)] // each is the register of its name
pub enum General {
    X86_64 {
        rax: Addr,
        rbx: Addr,
        rcx: Addr,
        rdx: Addr,
        rsi: Addr,
        rdi: Addr,
        rbp: Addr,
        rsp: Addr,
        r8: Addr,
        r9: Addr,
        r10: Addr,
        r11: Addr,
        r12: Addr,
        r13: Addr,
        r14: Addr,
        r15: Addr,
        rip: Addr,
        orig_rax: Option<u64>,
        rflags: Addr,
        fs_base: Addr,
        gs_base: Addr,
        #[serde(flatten)]
        both: Both,
    },
    I386 {
        eax: Addr,
        ebx: Addr,
        ecx: Addr,
        edx: Addr,
        esi: Addr,
        edi: Addr,
        ebp: Addr,
        esp: Addr,
        eip: Addr,
        orig_eax: Option<u64>,
        eflags: Addr,
        #[serde(flatten)]
        both: Both,
    },
}

/// What both machines have, and what is said of it.
#[derive(JsonSchema)]
pub struct Both {
    /// What is mapped at the instruction pointer.
    pub at: Option<String>,
    /// What is mapped at the stack pointer.
    pub stack: Option<String>,
    /// The error that the result stands for.
    pub error: Option<String>,
    /// Flags that are set.
    pub flags: String,
    /// A selector.
    pub cs: Addr,
    /// A selector.
    pub ss: Addr,
    /// A selector.
    pub ds: Addr,
    /// A selector.
    pub es: Addr,
    /// A selector.
    pub fs: Addr,
    /// A selector.
    pub gs: Addr,
}

/// What a thread was doing.
#[derive(JsonSchema)]
pub struct Doing {
    /// Its id.
    pub tid: Option<u64>,
    /// Its name.
    pub name: String,
    /// The system call with its arguments, or where it ran.
    pub call: String,
    /// How the call goes on after a thaw.
    pub then: String,
    /// Nanoseconds that are left of a sleep or a wait.
    pub left: Option<u64>,
}

/// The descriptors of a process.
#[derive(JsonSchema)]
pub struct Descriptors {
    /// In ascending order.
    #[serde(default)]
    pub descriptors: Vec<Descriptor>,
}

/// A descriptor.
#[derive(JsonSchema)]
pub struct Descriptor {
    /// Its number.
    pub fd: u32,
    /// `cloexec`, or `-`.
    pub flags: String,
    /// `file`, `pipe`, `unix`, ...
    pub kind: String,
    /// What it refers to: what is said of it, by its kind.
    pub what: Option<Map<String, Value>>,
}

/// Handlers and signals of a process.
#[derive(JsonSchema)]
pub struct Signals {
    /// Sent to the process, and not yet delivered.
    pub pending_signals: Option<Pending>,
    /// What is not the default.
    pub signal_handlers: Option<Handlers>,
    /// What each thread blocks.
    pub threads: Vec<Blocked>,
    /// Sent to a thread, and not yet delivered.
    #[serde(default)]
    pub pending: Vec<Of<ThreadPending>>,
}

/// Signals that wait.
#[derive(JsonSchema)]
pub struct Pending {
    /// Each with who sent it.
    #[serde(default)]
    pub signals: Vec<String>,
    /// That there are none.
    pub lines: Option<Vec<String>>,
}

/// Signals that wait for a thread.
#[derive(JsonSchema)]
pub struct ThreadPending {
    /// The signals.
    pub pending_signals: Pending,
}

/// Handlers.
#[derive(JsonSchema)]
#[serde(untagged)]
pub enum Handlers {
    /// One for all signals that are handled alike.
    Some(Vec<Handler>),
    /// None.
    None(Map<String, Value>),
}

/// A handler.
#[derive(JsonSchema)]
pub struct Handler {
    /// `SIG_IGN`, or its address with what is mapped there.
    pub handler: String,
    /// Flags of sigaction(2).
    #[serde(rename = "SA_flags")]
    pub flags: String,
    /// Its signals, and what is blocked while it runs.
    pub signals: String,
}

/// What a thread blocks.
#[derive(JsonSchema)]
pub struct Blocked {
    /// Its id.
    pub tid: u64,
    /// Its name.
    pub name: String,
    /// The signals.
    pub blocked: String,
    /// How many wait for it.
    pub pending: u64,
}

/// What will go off.
#[derive(JsonSchema)]
pub struct Timers {
    /// The machine's clocks, in nanoseconds.
    pub clocks: Option<Clocks>,
    /// setitimer(2).
    #[serde(default)]
    pub interval_timers: Vec<IntervalTimer>,
    /// timer_create(2).
    #[serde(default, rename = "POSIX_timers")]
    pub posix_timers: Vec<PosixTimer>,
    /// timerfd_create(2).
    #[serde(default)]
    pub descriptors: Vec<TimerDescriptor>,
}

/// Clocks that count from the start of the machine.
#[derive(JsonSchema)]
pub struct Clocks {
    /// CLOCK_MONOTONIC.
    pub monotonic: u64,
    /// CLOCK_BOOTTIME.
    pub boottime: u64,
}

/// An interval timer; times in nanoseconds.
#[derive(JsonSchema)]
pub struct IntervalTimer {
    /// `ITIMER_REAL`, ...
    pub timer: String,
    /// What is left.
    pub left: u64,
    /// Its period.
    pub interval: u64,
}

/// A POSIX timer; times in nanoseconds.
#[derive(JsonSchema)]
pub struct PosixTimer {
    /// Its id.
    pub id: u32,
    /// Its clock.
    pub clock: String,
    /// What is left; 0 if it is not armed.
    pub left: u64,
    /// Its period.
    pub interval: u64,
    /// What timer_getoverrun(2) says.
    pub overrun: u64,
    /// Who is told, and how.
    pub notification: String,
}

/// A timer that is a descriptor.
#[derive(JsonSchema)]
pub struct TimerDescriptor {
    /// Its number.
    pub fd: u32,
    /// What is said of it, by its kind.
    pub what: Map<String, Value>,
}

/// A process, a thread or a zombie, in the order of the tree.
#[derive(JsonSchema)]
pub struct Member {
    /// `process`, `thread` or `zombie`.
    pub tree: String,
    /// Its id.
    pub pid: u64,
    /// Its parent; of a thread, its process.
    pub parent: u64,
    /// Its process group.
    pub group: u64,
    /// Its session.
    pub session: u64,
    /// Its arguments or its name.
    pub name: String,
    /// What it was doing.
    pub doing: String,
}

/// A thread.
#[derive(JsonSchema)]
pub struct Thread {
    /// Its id.
    pub tid: Option<u64>,
    /// Its name.
    pub name: String,
    /// Its instruction pointer.
    pub pc: Addr,
    /// Its stack pointer.
    pub stack: Addr,
    /// Signals that it blocks.
    pub blocked: String,
    /// What it was doing.
    pub doing: String,
}

/// What a program was started with, as it stands in memory.
#[derive(JsonSchema)]
pub struct Environment {
    /// Its arguments.
    #[serde(default)]
    pub arguments: Vec<Argument>,
    /// Its environment.
    #[serde(default)]
    pub environment: Vec<Variable>,
}

/// An argument.
#[derive(JsonSchema)]
pub struct Argument {
    /// Its number, from 0.
    pub n: u64,
    /// The argument.
    pub argument: String,
}

/// A variable of the environment.
#[derive(JsonSchema)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value; null without --show-secrets.
    pub value: Option<String>,
}

/// An entry of the auxiliary vector.
#[derive(JsonSchema)]
pub struct Auxiliary {
    /// Its number.
    pub r#type: u64,
    /// `AT_...`
    pub name: String,
    /// Its value.
    pub value: Number,
    /// What is mapped there.
    pub r#where: String,
}

/// A number, or an address.
#[derive(JsonSchema)]
#[serde(untagged)]
pub enum Number {
    /// A number.
    Number(u64),
    /// An address or a bit pattern.
    Address(Addr),
}

/// What is not as it was.
#[derive(JsonSchema)]
pub struct Note {
    /// Of what.
    pub object: String,
    /// What.
    pub note: String,
}

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
