//! Segments that are at another place: of two runs of a program nearly all are.

use std::collections::{HashMap, VecDeque};

use cryo_format::section::objects::ObjectKind;
use cryo_format::section::vmas::{Backing, Vma, Vmas};

use crate::print::Cx;

/// What a segment is but for its place.
#[derive(PartialEq, Eq, Hash)]
struct Same<'a> {
    len: u64,
    prot: u32,
    flags: u64,
    backing: Backing,
    offset: u64,
    name: &'a [u8],
    file: Option<(ObjectKind, &'a [u8])>,
}

fn same<'a>(v: &'a Vma, cx: &'a Cx<'_>) -> Same<'a> {
    Same {
        len: v.end.0 - v.start.0,
        prot: v.prot,
        flags: v.flags.0,
        backing: v.backing,
        offset: v.offset,
        name: &v.name,
        file: cx.object(v.object).map(|o| (o.kind, &o.path[..])),
    }
}

/// Segments of the first that are not at their place in the second, each with the one there that is the same but for its place: as long, with the same
/// rights and flags, of the same part of the same file, or of the same name. In ascending order; each belongs to one.
pub fn pairs(a: &Cx<'_>, b: &Cx<'_>) -> Vec<(Vma, Vma)> {
    fn of<'c>(cx: &Cx<'c>) -> &'c [Vma] {
        cx.ice.get::<Vmas>(cx.owner).map_or(&[][..], |v| &v.vmas[..])
    }
    fn alone<'v>(all: &'v [Vma], others: &'v [Vma]) -> impl Iterator<Item = &'v Vma> {
        all.iter().filter(move |v| {
            let i = others.partition_point(|o| o.start < v.start);
            others.get(i).is_none_or(|o| o.start != v.start || o.end != v.end)
        })
    }
    let (ours, theirs) = (of(a), of(b));
    let mut new: HashMap<Same<'_>, VecDeque<&Vma>> = HashMap::new();
    for v in alone(theirs, ours) {
        new.entry(same(v, b)).or_default().push_back(v);
    }
    let gone = alone(ours, theirs);
    gone.filter_map(|v| Some((v.clone(), new.get_mut(&same(v, a))?.pop_front()?.clone()))).collect()
}
