//! The segment map, with the pages that the image holds of each segment.

use std::io::{self, Write};

use cryo_format::section::vmas::{Backing, VmFlags, Vma, Vmas};

use super::{Cx, Print, pages};
use crate::names::bits;
use crate::style::{WARN, paint};
use crate::table::Table;
use crate::text::{count, shown, size};

const FLAGS: &[(u64, &str)] = &[
    (VmFlags::GROWSDOWN, "growsdown"),
    (VmFlags::LOCKED, "locked"),
    (VmFlags::DONTFORK, "dontfork"),
    (VmFlags::WIPEONFORK, "wipeonfork"),
    (VmFlags::DONTDUMP, "dontdump"),
    (VmFlags::HUGEPAGE, "hugepage"),
    (VmFlags::NOHUGEPAGE, "nohugepage"),
    (VmFlags::MERGEABLE, "mergeable"),
    (VmFlags::NORESERVE, "noreserve"),
    (VmFlags::HUGETLB, "hugetlb"),
    (VmFlags::SEQUENTIAL, "sequential"),
    (VmFlags::RANDOM, "random"),
    (VmFlags::LOCKONFAULT, "lockonfault"),
    (VmFlags::DROPPABLE, "droppable"),
    (VmFlags::SEALED, "sealed"),
];

impl Print for Vmas {
    const TITLE: &'static str = "segments";

    fn print(&self, out: &mut dyn Write, cx: &Cx<'_>) -> io::Result<()> {
        let ranges: Vec<_> = self.vmas.iter().map(|v| (v.start.0, v.end.0)).collect();
        let (held, outside) = pages::by_range(cx.ice, cx.owner, &ranges);
        let whole = ranges.iter().fold(0u64, |sum, (start, end)| sum.saturating_add(end - start));
        writeln!(out, "{}, {}", count(ranges.len() as u64, "segment", "segments"), size(whole))?;
        let mut table = Table::new(&["range", ">size", "perm", "backing", ">stored", ">as file", ">zero", "what"]);
        for (v, p) in self.vmas.iter().zip(held) {
            let range = format!("{:012x}-{:012x}", v.start.0, v.end.0);
            let n = |n: u64| if n == 0 { "-".to_owned() } else { n.to_string() };
            let [stored, file, zero] = [p.stored, p.file, p.zero].map(n);
            table.row([range, size(v.end.0 - v.start.0), perm(v), backing(v), stored, file, zero, what(v, cx)]);
        }
        table.print(out)?;
        if outside != 0 {
            let text = format!("{} in no segment", count(outside, "page lies", "pages lie"));
            writeln!(out, "{}", paint(WARN, &text))?;
        }
        Ok(())
    }
}

/// As /proc/PID/maps shows it.
fn perm(v: &Vma) -> String {
    let mut text: String =
        [(1, 'r'), (2, 'w'), (4, 'x')].iter().map(|(b, c)| if v.prot & b != 0 { *c } else { '-' }).collect();
    text.push(if v.backing == Backing::SHARED { 's' } else { 'p' });
    if v.prot & !7 != 0 {
        text += &format!("+{:#x}", v.prot & !7);
    }
    text
}

fn backing(v: &Vma) -> String {
    match v.backing {
        Backing::ANONYMOUS => "anon".to_owned(),
        Backing::PRIVATE_FILE => "file".to_owned(),
        Backing::SHARED => "shared".to_owned(),
        Backing::SPECIAL => "kernel".to_owned(),
        Backing(other) => other.to_string(),
    }
}

fn what(v: &Vma, cx: &Cx<'_>) -> String {
    let mut parts = Vec::new();
    if v.object != 0 {
        let at = if v.offset == 0 { String::new() } else { format!(" +{:#x}", v.offset) };
        parts.push(cx.object_name(v.object) + &at);
    }
    if !v.name.is_empty() {
        parts.push(shown(&v.name));
    }
    if v.flags.0 != 0 {
        parts.push(format!("({})", bits(v.flags.0, FLAGS, " ")));
    }
    parts.join(" ")
}
