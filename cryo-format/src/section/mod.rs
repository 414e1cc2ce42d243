//! The sections: one module per kind of state, and each is the spec page of its name (spec/sections/) in Rust.
//!
//! A section is the payload of one chunk. The table [`for_each_section!`](crate::for_each_section) is the only list of them:
//! reading, validating and printing are driven by it, so that a section that is added there and forgotten elsewhere does not compile.

pub mod actions;
pub mod cpu;
pub mod descriptors;
pub mod extents;
pub mod files;
pub mod link;
pub mod mm;
pub mod notes;
pub mod objects;
pub mod origin;
pub mod outside;
pub mod pending;
pub mod process;
pub mod regs;
pub mod syscall;
pub mod thread;
pub mod tls;
pub mod vmas;
pub mod xstate;
