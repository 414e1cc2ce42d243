//! The C library. What C sees is in [`c`] and `include/cryo.h`, which is made of it; what it does is done by the commands `cryo-freeze`, `cryo-thaw` and
//! `cryo-inspect`, each in a process of its own.
//!
//! So it never prints, never exits, needs no thread of its own and leaves the signal handling of its caller alone; and a program can have itself frozen,
//! which a library in its own process could not do.

pub mod c;
mod commands;
mod error;
mod generation;

pub use commands::{Outcome, freeze, inspect, thaw};
pub use error::{CryoError, Error};
