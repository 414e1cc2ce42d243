//! What is undone to SysV semaphores at the end.

use cryo_format::section::semundo::SemUndo;

use super::{Cx, Print};
use crate::block::Blocks;

impl Print for SemUndo {
    const TITLE: &'static str = "semaphores to undo";

    fn print(&self, out: &mut Blocks, _: &Cx<'_>) {
        for a in &self.adjustments {
            writeln!(out, "semaphore {} of set {} (key {:#x})  {:+}", a.number, a.semid, a.key, a.adjust);
        }
    }
}
