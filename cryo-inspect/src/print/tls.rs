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
        segments(out, self.entries.iter().map(|e| (e.entry, e.base, e.limit, e.flags)));
    }
}

/// Entries of a table of segments: number, base, limit, the bit field of `struct user_desc`.
pub fn segments(out: &mut Blocks, entries: impl ExactSizeIterator<Item = (u32, u32, u32, u32)>) {
    if entries.len() == 0 {
        return writeln!(out, "none");
    }
    let mut table = Table::new(&[">entry", "base", "limit", "flags"]);
    for (entry, base, limit, flags) in entries {
        let contents = ["data", "stack", "code", "code, conforming"][(flags >> 1 & 3) as usize];
        let flags = format!("{contents} {}", bits(u64::from(flags & !6), FLAGS, " "));
        table.row([entry.to_string(), format!("{base:#010x}"), format!("{limit:#x}"), flags]);
    }
    out.table(table);
}
