//! Looks into the ice (in building).

// Names of the kernel's and of registers are words of the prose here, as in the manual.
#![allow(clippy::doc_markdown)]
// Lines are put together piece by piece all over this crate; clarity is worth an allocation.
#![allow(clippy::format_push_string)]

pub mod dump;
pub mod ice;
pub mod json;
pub mod names;
pub mod print;
pub mod style;
pub mod table;
pub mod text;
pub mod verify;

/// What the command exits with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// 0: all is well.
    Good,
    /// 1: it was read, and something in it is broken.
    Problems,
}
