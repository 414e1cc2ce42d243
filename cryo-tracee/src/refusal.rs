//! What is refused, as a kind for programs and a text for people.

/// A refusal: nothing failed, but what was asked for cannot be done as things are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Refusal {
    /// What it is about.
    pub kind: RefusalKind,
    /// The same for people: names the object, the reason and the way out.
    pub text: String,
}

impl Refusal {
    /// A refusal of this kind.
    pub fn new(kind: RefusalKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }
}

/// Several at once, which can be answered together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusals {
    /// Each of them.
    pub all: Vec<Refusal>,
    /// How all are answered, for people.
    pub answer: String,
    /// Arguments that answer all of them when they are added to the command, if there are such: `--fd outside=null`.
    pub add: Option<&'static str>,
}

impl Refusals {
    /// For people: each, and last the answer.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.all.iter().map(|one| one.text.as_str()).chain([self.answer.as_str()])
    }

    /// Says them to the person who has `typed` a command; last the same command with what answers all, to be pasted.
    pub fn say(&self, typed: &str, say: impl Fn(&str)) {
        self.lines().for_each(&say);
        if let Some(add) = self.add {
            say(&format!("to answer all at once: {typed} {add}"));
        }
    }
}

impl std::fmt::Display for Refusals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.lines().collect::<Vec<_>>().join("; "))
    }
}

impl std::error::Error for Refusals {}

/// What a refusal is about: the object that stands in the way. Two kinds name what helps instead, whatever the object is: [`Self::Busy`] and
/// [`Self::Permission`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusalKind {
    /// It is in the midst of something that ends by itself: the same may succeed a moment later.
    Busy,
    /// The same would succeed with more rights (a capability, root).
    Permission,
    /// What was asked for does not fit the process: a descriptor that it does not have, a process that may not be frozen from here.
    Argument,
    /// There is no such process.
    NoProcess,
    /// The place where the set should go: it is taken, full, or does not take all of it.
    Output,
    /// The set: damaged, not whole, of another version, or at odds with itself.
    Image,
    /// The set could have been written by others than root, and root would thaw it.
    Untrusted,
    /// This machine: its CPU or its kernel lacks what the program needs, or shows what this release does not know.
    Machine,
    /// A descriptor, or what it is open on, other than a file, socket or terminal.
    Descriptor,
    /// A file, directory or path: gone, another one than it was, or not to be opened.
    File,
    /// A socket, or who is at its other end.
    Socket,
    /// A terminal.
    Terminal,
    /// A range of memory.
    Memory,
    /// Something that a process outside shares.
    Shared,
    /// A thread, or what only one thread has.
    Thread,
    /// Pending signals.
    Signals,
    /// A timer.
    Timer,
    /// System V memory and semaphores, POSIX message queues.
    Ipc,
    /// Children of the process.
    Children,
    /// A namespace that it lives in, or that cannot be made.
    Namespace,
    /// Its process and thread ids are taken, or not ours to choose.
    Ids,
    /// Users, groups, capabilities and keys.
    Credentials,
    /// Resource limits, its own or those of the machine.
    Limits,
    /// A seccomp filter.
    Seccomp,
    /// Something of our own failed that never should.
    Internal,
}

impl RefusalKind {
    /// All of them.
    const ALL: [Self; 23] = [
        Self::Busy,
        Self::Permission,
        Self::Argument,
        Self::NoProcess,
        Self::Output,
        Self::Image,
        Self::Untrusted,
        Self::Machine,
        Self::Descriptor,
        Self::File,
        Self::Socket,
        Self::Terminal,
        Self::Memory,
        Self::Shared,
        Self::Thread,
        Self::Signals,
        Self::Timer,
        Self::Ipc,
        Self::Children,
        Self::Namespace,
        Self::Ids,
        Self::Credentials,
        Self::Limits,
    ];

    /// The one of this name, as reports have it.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().chain([Self::Seccomp, Self::Internal]).find(|kind| format!("{kind:?}") == name)
    }
}
