//! Looks into the ice (in building).

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
