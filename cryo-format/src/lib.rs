//! The contract between Cryo's programs: what the bytes of `.freeze`, `.frore` and `.frost` mean (written down in `spec/`).
//!
//! No system calls and no knowledge of processes here: only bytes, and what they promise.

pub mod prim;
pub mod section;
