//! The contract between Cryo's programs: what the bytes of `.freeze`, `.frore` and `.frost` mean (written down in `spec/`).
//!
//! No system calls and no knowledge of processes here: only bytes, and what they promise.
//!
//! - [`section`]: the payloads, each the spec page of its name in Rust, and the one table of them.
//! - [`write::Writer`] and [`read::Stream`]: the container in one pass, for files and pipes.
//! - [`image::Image`] and [`set::Set`]: the container opened through its index; [`model::Model`]: all of it but the pages.
//! - [`verify`]: every promise checked, by rule number.

// The kernel's names (SIG_DFL, PTRACE_PEEKSIGINFO, si_code) stand in running text as they do in man pages.
#![allow(clippy::doc_markdown)]

#[macro_use]
mod table;

pub mod chain;
pub mod chunk;
pub mod codec;
mod compressed;
pub mod dump;
pub mod error;
pub mod given;
pub mod header;
pub mod image;
pub mod index;
pub mod kind;
pub mod limits;
pub mod memory;
pub mod model;
mod order;
pub mod prim;
pub mod ranges;
pub mod read;
mod read_at;
mod root;
pub mod rules;
#[cfg(feature = "schema")]
mod schema;
pub mod section;
pub mod set;
pub mod socket;
pub mod text;
pub mod verify;
pub mod write;

pub use error::{Error, Result};
pub use header::{Header, Profile};
pub use kind::Kind;
pub use root::digest;
