//! What the kernel keeps for processes: `fds`, `signals`, `timers`, `tree`, `threads`, `env`, `auxv`; and `notes`.

use cryo_format::prim::Addr;
use schemars::JsonSchema;
use serde_json::{Map, Value};

use super::rows::Of;

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
