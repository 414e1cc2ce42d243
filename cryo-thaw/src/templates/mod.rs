//! Templates: programs that stand in memory, at the point where a thaw would let them run, and of which copies are made.
//!
//! A template is a host with the memory of its image's root and nothing else (`held`). A copy is its fork(2): the memory is shared until it is written.
//! All else that a thaw brings back, descriptors, signals, timers, threads, registers, the root's descendants, is brought back in the copy by the very
//! restorers of a thaw, so a copy is in nothing a relative of the others but in its memory. What fork(2) would copy wrongly (`fit`) each makes for itself, too; the
//! pages of that, and of the descendants, are kept in memory.
//!
//! The process that holds it ([`holder`]) is its tracer and dies with it the other way round, too. It is asked through a socket (`message`) in a directory
//! of the user's own ([`directory`]) by those who want a copy ([`caller`]).

pub mod caller;
pub mod directory;
mod fit;
mod held;
pub mod holder;
mod huge;
mod message;
mod together;

pub use directory::Called;
pub use message::How;
