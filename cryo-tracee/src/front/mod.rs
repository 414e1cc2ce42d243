//! What stands before a program: the command in the foreground while a thawed one runs, the init of its pid namespace, and what the commands say.

pub mod background;
pub mod foreground;
pub mod namespace;
pub mod report;
