//! Segments that a process has made for itself.

use cryo_format::section::ldt::Ldt;

use super::tls::segments;
use super::{Cx, Print};
use crate::block::Blocks;

impl Print for Ldt {
    const TITLE: &'static str = "local descriptor table";

    fn print(&self, out: &mut Blocks, _: &Cx<'_>) {
        segments(out, self.entries.iter().map(|e| (e.entry, e.base, e.limit, e.flags)));
    }
}
