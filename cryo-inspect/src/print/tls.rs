//! The thread-local segments of an i386 thread.

use cryo_format::section::tls::Tls;

use super::{Cx, Print};
use crate::block::{Blocks, Table};
use crate::names::bits;

const FLAGS: &[(u64, &str)] =
    &[(1, "32-bit"), (8, "read-execute-only"), (16, "limit-in-pages"), (32, "not-present"), (64, "useable")];

impl Print for Tls {
    const TITLE: &'static str = "thread-local segments";

    fn print(&self, out: &mut Blocks, _: &Cx<'_>) {
        if self.entries.is_empty() {
            return writeln!(out, "none");
        }
        let mut table = Table::new(&[">entry", "base", "limit", "flags"]);
        for e in &self.entries {
            let contents = ["data", "stack", "code", "code, conforming"][(e.flags >> 1 & 3) as usize];
            let flags = format!("{contents} {}", bits(u64::from(e.flags & !6), FLAGS, " "));
            table.row([e.entry.to_string(), format!("{:#010x}", e.base), format!("{:#x}", e.limit), flags]);
        }
        out.table(table);
    }
}
