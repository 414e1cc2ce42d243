//! What stands before a thawed program while it runs: the command in the foreground, and the init of its pid namespace.

pub mod foreground;
pub mod namespace;
