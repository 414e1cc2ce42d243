//! The segment map, with the pages that the image holds of each segment.

use cryo_format::section::vmas::{Backing, VmFlags, Vma, Vmas};

use super::{Cx, Print, pages, short_name};
use crate::block::{Blocks, Cell, Table};
use crate::names::bits;
use crate::text::{clipped, count, size};

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
    (VmFlags::HUGETLB_1GIB, "1GiB"),
    (VmFlags::SEQUENTIAL, "sequential"),
    (VmFlags::RANDOM, "random"),
    (VmFlags::LOCKONFAULT, "lockonfault"),
    (VmFlags::DROPPABLE, "droppable"),
    (VmFlags::SEALED, "sealed"),
];

/// What the kernel keeps account of: nearly every segment has one, and people look for neither. (`--format json` has them.)
const USUAL: u64 = VmFlags::ACCOUNT | VmFlags::MAYWRITE;

impl Print for Vmas {
    const TITLE: &'static str = "segments";

    fn print(&self, out: &mut Blocks, cx: &Cx<'_>) {
        let ranges: Vec<_> = self.vmas.iter().map(|v| (v.start.0, v.end.0)).collect();
        let (held, outside) = pages::by_range(cx.ice, cx.owner, &ranges);
        let whole = ranges.iter().fold(0u64, |sum, (start, end)| sum.saturating_add(end - start));
        out.caption(format!("{}, {}", count(ranges.len() as u64, "segment", "segments"), size(whole)));
        let mut table = Table::new(&["range", ">size", "perm", "backing", ">stored", ">as file", ">zero", "what"]);
        let mut last = 0;
        for (v, p) in self.vmas.iter().zip(held) {
            let [stored, file, zero] = [p.stored, p.file, p.zero].map(Cell::count);
            let what = Cell::new(what(v, last != v.object, cx), what(v, true, cx));
            last = v.object;
            table.row([
                range(v).into(),
                Cell::size(v.end.0 - v.start.0),
                perm(v).into(),
                backing(v).into(),
                stored,
                file,
                zero,
                what,
            ]);
        }
        out.table(table);
        if outside != 0 {
            out.warn(format!("{} in no segment", count(outside, "page lies", "pages lie")));
        }
    }
}

/// As /proc/PID/maps shows it, with twelve digits.
pub fn range(v: &Vma) -> String {
    format!("{:012x}-{:012x}", v.start.0, v.end.0)
}

/// As /proc/PID/maps shows it.
pub fn perm(v: &Vma) -> String {
    let mut text: String =
        [(1, 'r'), (2, 'w'), (4, 'x')].iter().map(|(b, c)| if v.prot & b != 0 { *c } else { '-' }).collect();
    text.push(if v.backing == Backing::SHARED { 's' } else { 'p' });
    if v.prot & !7 != 0 {
        text += &format!("+{:#x}", v.prot & !7);
    }
    text
}

/// What is under it, in a word.
pub fn backing(v: &Vma) -> String {
    match v.backing {
        Backing::ANONYMOUS => "anon".to_owned(),
        Backing::PRIVATE_FILE => "file".to_owned(),
        Backing::SHARED => "shared".to_owned(),
        Backing::SPECIAL => "kernel".to_owned(),
        Backing(other) => other.to_string(),
    }
}

/// Paths are long: only the first of the segments of a file says all of it.
pub fn what(v: &Vma, first: bool, cx: &Cx<'_>) -> String {
    let mut parts = Vec::new();
    if v.object != 0 {
        let name = match cx.object(v.object) {
            Some(o) if !first => short_name(o),
            _ => cx.object_name(v.object),
        };
        let at = if v.offset == 0 { String::new() } else { format!(" +{:#x}", v.offset) };
        parts.push(name + &at);
    }
    let name = clipped(&v.name, 256);
    if !name.is_empty() && parts.first() != Some(&name) {
        parts.push(name);
    }
    let flags = v.flags.0 & !USUAL;
    if flags != 0 {
        parts.push(format!("({})", bits(flags, FLAGS, " ")));
    }
    parts.join(" ")
}
