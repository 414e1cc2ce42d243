//! What is undone to SysV semaphores at the end.

use std::io::{self, Write};

use cryo_format::section::semundo::SemUndo;

use super::{Cx, Print};

impl Print for SemUndo {
    const TITLE: &'static str = "semaphores to undo";

    fn print(&self, out: &mut dyn Write, _: &Cx<'_>) -> io::Result<()> {
        self.adjustments.iter().try_for_each(|a| {
            writeln!(out, "semaphore {} of set {} (key {:#x})  {:+}", a.number, a.semid, a.key, a.adjust)
        })
    }
}
