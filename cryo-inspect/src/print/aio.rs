//! Asynchronous I/O contexts.

use cryo_format::section::aio::Aio;

use super::{Cx, Print};
use crate::block::{Blocks, Cell, Table};

impl Print for Aio {
    const TITLE: &'static str = "asynchronous I/O";

    fn print(&self, out: &mut Blocks, _: &Cx<'_>) {
        let mut contexts = Table::new(&["context", ">bytes", ">events"]);
        for c in &self.contexts {
            contexts.row([c.address.to_string().into(), Cell::number(c.size), Cell::number(c.events.len() as u64)]);
        }
        out.table(contexts);
        if self.contexts.iter().all(|c| c.events.is_empty()) {
            return;
        }
        let mut events = Table::new(&["context", "done", ">data", "request", ">result"]);
        for c in &self.contexts {
            for (i, e) in c.events.iter().enumerate() {
                events.row([
                    c.address.to_string().into(),
                    Cell::number(i as u64 + 1),
                    Cell::number(e.data),
                    e.obj.to_string().into(),
                    Cell::new(e.res.to_string(), e.res),
                ]);
            }
        }
        out.table(events);
    }
}
