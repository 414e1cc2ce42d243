//! Version 1 of the sections that have a later one: frozen, word for word as they were released (spec/13-evolution.md).

pub mod epoll;
pub mod locks;
pub mod mm;
pub mod objects;
pub mod pipes;
pub mod process;
pub mod thread;
