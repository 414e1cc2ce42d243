//! An open file that is reached by a path.

use cryo_format::section::files::OpenFile;

use super::{Cx, Print};
use crate::block::{Blocks, Cell};
use crate::names::open;
use crate::text::shown_or;

const TYPE: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;
const CHARACTER: u32 = 0o020_000;
const BLOCK: u32 = 0o060_000;

impl Print for OpenFile {
    const TITLE: &'static str = "file";

    fn print(&self, out: &mut Blocks, _: &Cx<'_>) {
        out.value("path", shown_or(&self.path, "(no path)"));
        if self.object != 0 {
            write!(out, " (deleted; its content is object ");
            out.value("object", Cell::number(self.object));
            write!(out, ")");
        }
        write!(out, "  ");
        out.value("flags", open::open_flags(self.open_flags.0));
        match self.mode & TYPE {
            REGULAR => {
                write!(out, "  at ");
                out.value("offset", Cell::number(self.offset));
                write!(out, " of ");
                out.value("size", Cell::number(self.size));
                writeln!(out, " bytes");
            }
            DIRECTORY if self.offset == 0 => writeln!(out, "  directory"),
            DIRECTORY => writeln!(out, "  directory, read up to {:#x}", self.offset),
            CHARACTER => {
                write!(out, "  character device ");
                out.value("device", open::device(self.rdev));
                writeln!(out);
            }
            BLOCK => writeln!(out, "  block device {} at {}", open::device(self.rdev), self.offset),
            _ => writeln!(out, "  {} at {}", open::file_type(self.mode), self.offset),
        }
    }
}
