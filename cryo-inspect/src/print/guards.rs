//! Guards inside mappings.

use std::io::{self, Write};

use cryo_format::section::guards::Guards;

use super::{Cx, Order, Print};

impl Print for Guards {
    const TITLE: &'static str = "guards";
    const ORDER: Order = Order::Late;

    fn print(&self, out: &mut dyn Write, _: &Cx<'_>) -> io::Result<()> {
        self.guards.iter().try_for_each(|g| writeln!(out, "{:012x}-{:012x}", g.start.0, g.end.0))
    }
}
