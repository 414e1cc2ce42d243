//! What was left out, replaced or could not be seen.

use std::io::{self, Write};

use cryo_format::section::notes::Notes;

use super::{Cx, Order, Print};
use crate::text::shown;

impl Print for Notes {
    const TITLE: &'static str = "notes of the freezer";
    const ORDER: Order = Order::First;

    fn print(&self, out: &mut dyn Write, _: &Cx<'_>) -> io::Result<()> {
        if self.notes.is_empty() {
            return writeln!(out, "none");
        }
        self.notes.iter().try_for_each(|n| writeln!(out, "{}: {}", shown(&n.object), shown(&n.text)))
    }
}
