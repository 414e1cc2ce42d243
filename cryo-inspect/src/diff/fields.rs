//! The sections' own fields, compared where what printers make of them is the same: bytes of a queue of which only the length is shown, a function that the
//! C library returns from handlers through, the instructions of a filter.

use std::collections::{BTreeMap, HashSet, VecDeque};

use cryo_format::Profile;
use cryo_format::section::descriptors::Descriptors;
use cryo_format::section::{AnySection, Named, Scope};
use serde_json::Value;

use super::values::{self, Change};
use crate::block::Blocks;
use crate::command::thread_of;
use crate::draw::json;
use crate::ice::{Entry, Ice};
use crate::print::{self, Cx};

/// Members that are local ids: each image numbers by itself, and what they stand for is compared where it stands.
const LOCAL_IDS: [&str; 14] = [
    "id",
    "object",
    "description",
    "descriptions",
    "process",
    "other",
    "root",
    "parent",
    "thread",
    "clock_thread",
    "pipe",
    "pty",
    "exe",
    "shared_with",
];

/// A section's fields, without local ids. (`root` and `exe` may be paths, too: those stay.)
pub fn of(section: &AnySection) -> Value {
    let mut value = serde_json::to_value(section).unwrap_or_default();
    strip(&mut value);
    value
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(members) => {
            let id = |name: &str, v: &Value| {
                let all_ids = v.as_array().is_some_and(|a| a.iter().all(Value::is_u64));
                LOCAL_IDS.contains(&name) && (v.is_u64() || all_ids) || name == "peer" || name == "owner"
            };
            members.retain(|name, v| !id(name, v));
            members.values_mut().for_each(strip);
        }
        Value::Array(all) => all.iter_mut().for_each(strip),
        _ => {}
    }
}

/// What a printer says of a section.
pub fn printed(section: &AnySection, cx: &Cx<'_>) -> Value {
    let mut within = Blocks::default();
    print::print(section, &mut within, cx);
    json::value(&within.into_vec())
}

/// What descriptors of the same number refer to, and what that refers to: fields that differ although nothing is seen of it.
pub fn descriptions(a: &Cx<'_>, b: &Cx<'_>, both: &[Profile], seen: &mut HashSet<(u64, u64)>) -> Vec<Change> {
    let mut found = Vec::new();
    if !both.contains(&Profile::Frost) {
        return found;
    }
    let table = |cx: &Cx<'_>| -> BTreeMap<u32, u64> {
        let all = cx.ice.get::<Descriptors>(cx.owner).map_or(&[][..], |t| &t.descriptors[..]);
        all.iter().map(|d| (d.fd, d.description)).collect()
    };
    let theirs = table(b);
    for (fd, x) in table(a) {
        let Some(y) = theirs.get(&fd) else { continue };
        let mut open = VecDeque::from([(x, *y)]);
        while let Some((x, y)) = open.pop_front() {
            // Shared ones are compared once, whoever has them.
            if !seen.insert((x, y)) {
                continue;
            }
            for (ours, theirs) in pairs(a.ice, x, b.ice, y) {
                let same = printed(ours, &thread_of(a, x)) == printed(theirs, &thread_of(b, y));
                if same {
                    let path = format!("[fd={fd}].{}", print::key(ours));
                    let changes = values::compare(&of(ours), &of(theirs));
                    found.extend(changes.into_iter().map(|c| Change { path: format!("{path}.{}", c.path), ..c }));
                }
                open.extend(named(ours).into_iter().zip(named(theirs)));
            }
        }
    }
    found
}

/// Other descriptions that a section names.
fn named(section: &AnySection) -> Vec<u64> {
    let all = section.names().into_iter();
    all.filter(|(what, id)| *id != 0 && matches!(what, Named::Description | Named::OwnerOf(_)))
        .map(|(_, id)| id)
        .collect()
}

/// Sections of two owners that are of one kind, and of an open file description.
fn pairs<'a>(a: &'a Ice, x: u64, b: &'a Ice, y: u64) -> Vec<(&'a AnySection, &'a AnySection)> {
    fn described(entry: &Entry) -> Option<&AnySection> {
        entry.section.as_ref().ok().filter(|s| s.info().is_some_and(|info| info.scope == Scope::Description))
    }
    let ours = a.of(x).filter_map(|e| Some((e.kind, described(e)?)));
    ours.filter_map(|(kind, s)| Some((s, b.of(y).filter(|e| e.kind == kind).find_map(described)?))).collect()
}
