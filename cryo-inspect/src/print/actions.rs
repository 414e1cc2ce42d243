//! Signal handlers.

use std::collections::BTreeMap;

use cryo_format::section::actions::Actions;

use super::{Cx, Print};
use crate::block::{Blocks, Table};
use crate::names::signal;
use crate::text::wrap;

/// Characters of a line of signals.
const WIDTH: usize = 60;

impl Print for Actions {
    const TITLE: &'static str = "signal handlers";

    fn print(&self, out: &mut Blocks, cx: &Cx<'_>) {
        if self.actions.is_empty() {
            return writeln!(out, "none: every signal has its default action");
        }
        // Shells have one handler for two dozen signals: one row for all that are handled alike, the lowest signal first.
        let mut alike: BTreeMap<_, u64> = BTreeMap::new();
        for a in &self.actions {
            *alike.entry((a.handler, a.flags, a.mask)).or_default() |=
                1u64.checked_shl(a.signal.wrapping_sub(1)).unwrap_or(0);
        }
        let mut rows: Vec<_> = alike.into_iter().collect();
        rows.sort_by_key(|(_, signals)| signals.trailing_zeros());
        let mut table = Table::new(&["handler", "SA_ flags", "signals"]);
        for ((handler, flags, mask), signals) in rows {
            let handler = match handler.0 {
                0 => "SIG_DFL".to_owned(),
                1 => "SIG_IGN".to_owned(),
                addr => cx.address(addr),
            };
            let mut which = wrap(signal::set(signals).split(' '), WIDTH);
            if mask.0 != 0 {
                let blocked = format!("blocks {}", signal::set(mask.0));
                which += &format!("\n{}", wrap(blocked.split(' '), WIDTH));
            }
            table.row([handler, signal::action_flags(flags.0), which]);
        }
        out.table(table);
    }
}
