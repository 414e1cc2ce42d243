//! Signal handlers.

use std::io::{self, Write};

use cryo_format::section::actions::Actions;

use super::{Cx, Print};
use crate::names::signal;
use crate::table::Table;

impl Print for Actions {
    const TITLE: &'static str = "signal handlers";

    fn print(&self, out: &mut dyn Write, cx: &Cx<'_>) -> io::Result<()> {
        if self.actions.is_empty() {
            return writeln!(out, "none: every signal has its default action");
        }
        let mut table = Table::new(&["signal", "handler", "SA_ flags", "blocked meanwhile"]);
        for a in &self.actions {
            let handler = match a.handler.0 {
                0 => "SIG_DFL".to_owned(),
                1 => "SIG_IGN".to_owned(),
                addr => cx.address(addr),
            };
            let (name, flags) = (signal::name(a.signal.into()), signal::action_flags(a.flags.0));
            table.row([name, handler, flags, signal::set(a.mask.0)]);
        }
        table.print(out)
    }
}
