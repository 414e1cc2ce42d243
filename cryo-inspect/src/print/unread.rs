//! Bytes that waited at an end whose other end is outside.

use cryo_format::section::unread::Unread;

use super::{Cx, Print};
use crate::block::Blocks;
use crate::text::clipped;

/// Bytes that are shown.
const GLIMPSE: usize = 32;

impl Print for Unread {
    const TITLE: &'static str = "not read yet";

    fn print(&self, out: &mut Blocks, _: &Cx<'_>) {
        writeln!(out, "{} bytes: {}", self.content.len(), clipped(&self.content, GLIMPSE));
    }
}
