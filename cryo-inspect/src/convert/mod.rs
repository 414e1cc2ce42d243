//! Images as other programs' files, and other programs' files as images.

pub mod from_core;
pub mod to_core;
pub mod words;
