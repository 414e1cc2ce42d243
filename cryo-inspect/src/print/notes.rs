//! What was left out, replaced or could not be seen.

use cryo_format::section::notes::Notes;

use super::{Cx, Order, Print};
use crate::block::Blocks;
use crate::text::shown;

impl Print for Notes {
    const TITLE: &'static str = "notes of the freezer";
    const ORDER: Order = Order::First;

    fn print(&self, out: &mut Blocks, _: &Cx<'_>) {
        if self.notes.is_empty() {
            return writeln!(out, "none");
        }
        for n in &self.notes {
            out.list("notes");
            out.value("object", shown(&n.object));
            write!(out, ": ");
            out.value("text", shown(&n.text));
            writeln!(out);
        }
    }
}
