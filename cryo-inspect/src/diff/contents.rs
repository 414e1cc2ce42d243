//! The content of files and shared memory that the image holds, compared where no process has all of it mapped.

use std::collections::{HashMap, HashSet};

use cryo_format::ranges::{in_all, joined};
use cryo_format::section::extents::Extents;
use cryo_format::section::objects::{Object, Objects};
use cryo_format::section::vmas::{Backing, Vma, Vmas};

use super::memory::{missing, proven, segments};
use super::options::Options;
use crate::block::{Blocks, Cell, Group, Table};
use crate::ice::Ice;
use crate::print::object_name;
use crate::space::Space;
use crate::text::{count, cut};

/// Compares objects of the same kind and name, and gives how many differ.
pub fn compare(a: &Ice, b: &Ice, options: Options<'_>, out: &mut Blocks) -> anyhow::Result<u64> {
    let mut table = Table::new(&["change", "object", ">pages", ">bytes", "first"]);
    let mut lost = 0;
    for (x, y) in pairs(a, b) {
        let held = |ice: &Ice, o: &Object| o.embedded != 0 || ice.sections::<Extents>(o.id).next().is_some();
        if !held(a, x) || !held(b, y) || mapped(a, x) && mapped(b, y) {
            continue;
        }
        let page = a.page_size();
        let same = proven((a, x.id), (b, y.id));
        let len = x.size.max(y.size).next_multiple_of(page);
        let (one, other) = (Space::of_object(a, x.id, len)?, Space::of_object(b, y.id, len)?);
        let whole = Vma { end: cryo_format::prim::Addr(len), ..Vma::default() };
        let options = Options { bytes: false, ..options };
        let Some(found) = segments(&[(&whole, 0)], &one, &other, &same, options, page)?.pop() else { continue };
        lost += found.missing;
        if found.pages > 0 {
            let first = found.first.unwrap_or_default();
            table.row([
                Cell::new("~", "changed"),
                cut(object_name(y), 200).into(),
                Cell::number(found.pages),
                Cell::number(found.bytes),
                Cell::hex(format!("{first:#x}"), first),
            ]);
        }
    }
    let n = table.rows.len() as u64;
    if n > 0 {
        let title = format!("~ contents: {} with other bytes", count(n, "object", "objects"));
        out.group(Group::one("contents", title, [table].into()));
    }
    missing(lost, out);
    Ok(n)
}

/// Objects of the same kind and name, the first with the first, and so on.
fn pairs<'a>(a: &'a Ice, b: &'a Ice) -> Vec<(&'a Object, &'a Object)> {
    let all = |ice: &'a Ice| ice.get::<Objects>(0).map_or(&[][..], |o| &o.objects[..]);
    let mut theirs: HashMap<_, std::collections::VecDeque<&Object>> = HashMap::new();
    for o in all(b) {
        theirs.entry((o.kind, &o.path)).or_default().push_back(o);
    }
    let mut taken = HashSet::new();
    let pair = |o: &'a Object| Some((o, theirs.get_mut(&(o.kind, &o.path))?.pop_front()?));
    all(a).iter().filter_map(pair).filter(|(_, y)| taken.insert(y.id)).collect()
}

/// Does some process have all of it in its memory, where it is compared?
fn mapped(ice: &Ice, o: &Object) -> bool {
    let of_it =
        ice.all::<Vmas>().flat_map(|(_, v)| &v.vmas).filter(|v| v.object == o.id && v.backing == Backing::SHARED);
    let ranges = joined(of_it.map(|v| (v.offset, v.offset.saturating_add(v.end.0 - v.start.0))).collect());
    let whole = [(0, o.size)];
    o.size > 0 && in_all(&[&whole, &ranges]) == whole
}
