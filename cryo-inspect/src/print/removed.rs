//! A directory or symbolic link without a name.

use cryo_format::section::removed::Removed;

use super::{Cx, Print};
use crate::block::Blocks;
use crate::text::shown;

impl Print for Removed {
    const TITLE: &'static str = "removed";

    fn print(&self, out: &mut Blocks, _: &Cx<'_>) {
        if self.is_directory() {
            let cwd = if self.cwd != 0 { "working directory" } else { "directory" };
            write!(out, "{cwd} {}", shown(&self.path));
        } else {
            write!(out, "link {} to {}", shown(&self.path), shown(&self.target));
        }
        writeln!(out, "  {:o} uid {} gid {}", self.mode & 0o7777, self.uid, self.gid);
    }
}
