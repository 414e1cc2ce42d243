//! Segments that are at another place: of two runs of a program nearly all are.

use cryo_format::section::vmas::{Vma, Vmas};

use crate::print::Cx;

/// Segments of the first that are not at their place in the second, each with the one there that is the same but for its place: as long, with the same
/// rights, of the same part of the same file, or of the same name. In ascending order; each belongs to one.
pub fn pairs(a: &Cx<'_>, b: &Cx<'_>) -> Vec<(Vma, Vma)> {
    let of = |cx: &Cx<'_>| cx.ice.get::<Vmas>(cx.owner).map_or(Vec::new(), |v| v.vmas.to_vec());
    let (ours, theirs) = (of(a), of(b));
    let alone = |all: &[Vma], others: &[Vma]| -> Vec<Vma> {
        let there = |v: &&Vma| {
            let i = others.partition_point(|o| o.start < v.start);
            others.get(i).is_none_or(|o| o.start != v.start || o.end != v.end)
        };
        all.iter().filter(there).cloned().collect()
    };
    let mut new = alone(&theirs, &ours);
    let path = |cx: &Cx<'_>, v: &Vma| cx.object(v.object).map(|o| (o.kind, o.path.to_vec()));
    let mut found = Vec::new();
    for v in alone(&ours, &theirs) {
        let same = |w: &Vma| {
            (w.end.0 - w.start.0, w.prot, w.backing, w.offset, &w.name, path(b, w))
                == (v.end.0 - v.start.0, v.prot, v.backing, v.offset, &v.name, path(a, &v))
        };
        if let Some(i) = new.iter().position(same) {
            found.push((v, new.remove(i)));
        }
    }
    found
}
