//! Images as other programs' files, and other programs' files as images.

pub mod to_core;
