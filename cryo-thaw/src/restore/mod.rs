//! Restorers: one module per kind of state, of the same name as its section and its collector.

pub mod actions;
pub mod descriptors;
pub mod files;
pub mod mm;
pub mod outside;
mod paths;
pub mod pending;
pub mod pipes;
pub mod process;
pub mod regs;
pub mod syscall;
pub mod thread;
pub mod xstate;
