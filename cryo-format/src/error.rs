//! What can go wrong, with the place where it did.

use std::fmt;
use std::io;

use crate::kind::Kind;
use crate::rules::{Rule, Violation};

/// Shorthand.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A place in a file, for messages: `img.freeze: chunk VMAS at offset 0x40`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file's name, or what stands for it.
    pub file: String,
    /// The chunk, or `None` for header and footer.
    pub kind: Option<Kind>,
    /// Offset of the chunk (or header, or footer) from the beginning of the file.
    pub offset: u64,
}

impl Place {
    /// Where the system failed: the file as a whole, unless a chunk was being read or written.
    fn io(&self) -> String {
        match self.kind {
            None => self.file.clone(),
            Some(_) => self.to_string(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Some(kind) => write!(f, "{}: chunk {kind} at offset {:#x}", self.file, self.offset),
            None if self.offset == 0 => write!(f, "{}: header", self.file),
            None => write!(f, "{}: at offset {:#x}", self.file, self.offset),
        }
    }
}

/// An error of reading or writing an image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The system said no.
    #[error("{}: {error}", place.io())]
    Io {
        /// Where.
        place: Place,
        /// What it said. (Not called `source`: it is part of the message already.)
        error: io::Error,
    },
    /// Nothing at all to read.
    #[error("{file}: empty: no Cryo file")]
    Empty {
        /// The file.
        file: String,
    },
    /// It ends too early.
    #[error("{file}: truncated at offset {offset:#x} {inside} (no END chunk)")]
    Truncated {
        /// The file.
        file: String,
        /// Where the bytes end.
        offset: u64,
        /// In or behind what.
        inside: String,
    },
    /// A rule of the format does not hold.
    #[error("{place}: {violation}")]
    Broken {
        /// Where.
        place: Place,
        /// Which rule, and how.
        violation: Violation,
    },
    /// The caller asked a chunk for what it is not.
    #[error("{place}: not the {wanted} that was asked for")]
    WrongKind {
        /// Where.
        place: Place,
        /// What was asked for.
        wanted: String,
    },
    /// A file of another profile than the one that was asked for.
    #[error("{file}: a .{is} by its content, not a .{wanted}: it was renamed, or stands in another's place")]
    WrongProfile {
        /// The file.
        file: String,
        /// What it is.
        is: crate::header::Profile,
        /// What it should be.
        wanted: crate::header::Profile,
    },
    /// The caller gave the writer something that the format cannot hold.
    #[error("cannot write {what}: {why}")]
    Unwritable {
        /// What.
        what: String,
        /// Why.
        why: String,
    },
    /// The set that has pages of this one is not there, or another one is in its place.
    #[error("{}", no_parent(file, parent, set, root, other.as_deref()))]
    Parent {
        /// The .freeze that was opened.
        file: String,
        /// Where its parent was.
        parent: String,
        /// Id of the parent.
        set: crate::prim::Raw<16>,
        /// Root of the parent.
        root: crate::prim::Raw<32>,
        /// What was found in its place.
        other: Option<String>,
    },
    /// A parent that has other sets below it than its child says.
    #[error("{file}: it is to have {says} sets below it, and its parent has {found}")]
    Chain {
        /// The .freeze that was opened.
        file: String,
        /// What it says.
        says: u32,
        /// What its parent says.
        found: u32,
    },
    /// A file of the set that is not where its name says.
    #[error("{file} is not there, and {freeze} is nothing without it{}", belonging(found.as_deref(), file))]
    Missing {
        /// The file.
        file: String,
        /// The .freeze that was opened.
        freeze: String,
        /// A file of another name that belongs to the .freeze.
        found: Option<String>,
    },
    /// Files that do not belong together.
    #[error("{0}")]
    Mismatch(Mismatch),
}

/// Two files of different sets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file} does not belong to {freeze}: {detail} ({rule}){}", belonging(found.as_deref(), file))]
pub struct Mismatch {
    /// The file that does not fit.
    pub file: String,
    /// The .freeze that was opened.
    pub freeze: String,
    /// What differs.
    pub detail: String,
    /// The rule.
    pub rule: Rule,
    /// A file of another name that does belong.
    pub found: Option<String>,
}

/// The way out where the right file stands under another name.
fn belonging(found: Option<&str>, file: &str) -> String {
    match found {
        Some(found) => format!("; {found} belongs to it: cp {found} {file}"),
        None => ": the three files of one freeze stay together, under one name".to_owned(),
    }
}

impl Error {
    /// The rule that is broken, where it is one.
    pub fn rule(&self) -> Option<Rule> {
        match self {
            Self::Broken { violation, .. } => Some(violation.rule),
            Self::Empty { .. } | Self::Truncated { .. } => Some(Rule::TRUNCATED),
            Self::Mismatch(m) => Some(m.rule),
            _ => None,
        }
    }

    /// Offset in the file, where there is one.
    pub fn offset(&self) -> Option<u64> {
        match self {
            Self::Broken { place, .. } | Self::Io { place, .. } | Self::WrongKind { place, .. } => Some(place.offset),
            Self::Truncated { offset, .. } => Some(*offset),
            Self::Empty { .. } => Some(0),
            _ => None,
        }
    }

    /// What is left of the message where file, offset and rule have places of their own.
    pub fn message(&self) -> String {
        match self {
            Self::Broken { place: Place { kind: Some(kind), .. }, violation } => {
                format!("chunk {kind}: {}", violation.detail)
            }
            Self::Broken { violation, .. } => violation.detail.clone(),
            Self::Truncated { inside, .. } => format!("truncated {inside} (no END chunk)"),
            Self::Empty { .. } => "empty: no Cryo file".to_owned(),
            Self::WrongProfile { is, wanted, .. } => format!("a .{is}, not a .{wanted}"),
            Self::Mismatch(m) => format!("does not belong to {}: {}", m.freeze, m.detail),
            Self::Io { .. }
            | Self::WrongKind { .. }
            | Self::Unwritable { .. }
            | Self::Missing { .. }
            | Self::Parent { .. }
            | Self::Chain { .. } => self.to_string(),
        }
    }
}

fn no_parent(
    file: &str,
    parent: &str,
    set: &crate::prim::Raw<16>,
    root: &crate::prim::Raw<32>,
    other: Option<&str>,
) -> String {
    let beside = "beside it, or where it was";
    match other {
        None => format!(
            "{file} holds what has changed since {parent} (set {set}), which is not there: put that file {beside}; `cryo-inspect flatten` would have made \
             it whole while both were there"
        ),
        Some(other) => format!(
            "{file} holds what has changed since another set than {other} is now: its parent has the id {set} and the root {root}: put that one {beside}"
        ),
    }
}
