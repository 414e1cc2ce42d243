//! What is different between two images: [`values`] compares what printers make of the sections, so that every kind of state is compared, [`fields`]
//! what they do not show, [`memory`] the pages of processes, and [`contents`] those of files and shared memory.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use cryo_format::Profile;
use cryo_format::section::process::Process;
use cryo_format::section::thread::Thread;
use cryo_format::section::vmas::Vma;
use cryo_format::section::{AnySection, Scope};
use serde_json::Value;

use crate::block::{Blocks, Cell, Group, Mark};
use crate::ice::Ice;
use crate::people::People;
use crate::print::vmas::range;
use crate::print::{self, Cx};

pub mod contents;
pub mod fields;
pub mod memory;
pub mod moved;
mod options;
pub mod values;

pub use options::Options;
use values::{Change, Kind};

/// Is one of these ids chosen?
fn chosen(ids: &[u64], of: [Option<u64>; 2]) -> bool {
    ids.is_empty() || of.iter().flatten().any(|id| ids.contains(id))
}

/// Compares, and gives what is different with how many differences there are.
pub fn diff(a: &Ice, b: &Ice, options: Options<'_>) -> anyhow::Result<(Blocks, u64)> {
    options.check(a, b)?;
    let mut out = Blocks::default();
    let mut count = 0;
    let both: Vec<Profile> =
        Profile::ALL.into_iter().filter(|p| a.part(*p).is_some() && b.part(*p).is_some()).collect();
    for profile in Profile::ALL {
        if both.contains(&profile) {
            continue;
        }
        let which = match (a.part(profile).is_some(), b.part(profile).is_some()) {
            (true, false) => "second",
            (false, true) => "first",
            _ => continue,
        };
        out.warn(format!("the {which} has no .{profile}: what it holds is not compared"));
    }
    let mut whole = Blocks::default();
    let of_all = options.of_all();
    let (x, y) = (Cx { ice: a, owner: 0, process: None }, Cx { ice: b, owner: 0, process: None });
    if of_all {
        count += sections(&x, &y, &both, options, &mut whole);
    }
    if of_all && !options.state_only && both.contains(&Profile::Freeze) {
        count += contents::compare(a, b, options, &mut whole)?;
    }
    if !whole.is_empty() {
        out.group(Group::one("image", "image", whole));
    }
    let (ours, theirs) = (People::of(a), People::of(b));
    let mut seen = HashSet::new();
    for (first, second) in pair(
        &ours.processes.keys().copied().collect::<Vec<_>>(),
        &theirs.processes.keys().copied().collect::<Vec<_>>(),
        |o| a.get::<Process>(o).map(|p| p.pid),
        |o| b.get::<Process>(o).map(|p| p.pid),
    ) {
        let pid = |ice: &Ice, owner: Option<u64>| ice.get::<Process>(owner?).map(|p| p.pid);
        if !chosen(options.pids, [pid(a, first), pid(b, second)]) {
            continue;
        }
        let mut within = Blocks::default();
        let name = |ice: &Ice, owner: u64| match ice.get::<Process>(owner) {
            Some(p) => format!("process {}", p.pid),
            None => format!("process of local id {owner}"),
        };
        let title = match (first, second) {
            (Some(x), Some(y)) => {
                count += process((a, x, &ours), (b, y, &theirs), (&both, &mut seen), options, &mut within)?;
                let (x, y) = (name(a, x), name(b, y));
                Cell::from(if x == y { x } else { format!("{x} -> {y}") })
            }
            (Some(x), None) => {
                count += 1;
                Cell::from(format!("- {}", name(a, x))).marked(Mark::Removed)
            }
            (None, Some(y)) => {
                count += 1;
                Cell::from(format!("+ {}", name(b, y))).marked(Mark::Added)
            }
            (None, None) => continue,
        };
        if !within.is_empty() || title.mark != Mark::None {
            let id = vec![("process", Value::String(title.text.clone()))];
            out.group(Group::many("processes", id, title, within));
        }
    }
    Ok((out, count))
}

/// What belongs together: what has the same id; of the rest the first with the first, and so on.
fn pair(
    a: &[u64],
    b: &[u64],
    id_a: impl Fn(u64) -> Option<u64>,
    id_b: impl Fn(u64) -> Option<u64>,
) -> Vec<(Option<u64>, Option<u64>)> {
    let theirs: BTreeMap<u64, u64> = b.iter().filter_map(|o| Some((id_b(*o)?, *o))).collect();
    let mut taken = BTreeSet::new();
    let mut pairs: Vec<(Option<u64>, Option<u64>)> = Vec::new();
    for x in a {
        let same = id_a(*x).and_then(|id| theirs.get(&id)).filter(|y| taken.insert(**y)).copied();
        pairs.push((Some(*x), same));
    }
    let mut rest = b.iter().filter(|y| !taken.contains(y));
    for pair in pairs.iter_mut().filter(|p| p.1.is_none()) {
        pair.1 = rest.next().copied();
    }
    pairs.extend(rest.map(|y| (None, Some(*y))));
    pairs
}

type Side<'a> = (&'a Ice, u64, &'a People);

fn process(
    a: Side<'_>,
    b: Side<'_>,
    (both, seen): (&[Profile], &mut HashSet<(u64, u64)>),
    options: Options<'_>,
    out: &mut Blocks,
) -> anyhow::Result<u64> {
    let (x, y) = (Cx { ice: a.0, owner: a.1, process: Some(a.1) }, Cx { ice: b.0, owner: b.1, process: Some(b.1) });
    let mut count = 0;
    if options.tids.is_empty() && options.filter.is_none() {
        count += sections(&x, &y, both, options, out);
        let others = fields::descriptions(&x, &y, both, seen);
        count += listed("descriptor_fields", "what descriptors refer to", &others, out);
    }
    if options.filter.is_none() {
        count += threads(a, b, both, options, out)?;
    }
    if both.contains(&Profile::Freeze) && !options.state_only && options.tids.is_empty() {
        count += memory::compare((a.0, a.1), (b.0, b.1), options, out)?;
    }
    Ok(count)
}

/// The threads of a process.
fn threads(a: Side<'_>, b: Side<'_>, both: &[Profile], options: Options<'_>, out: &mut Blocks) -> anyhow::Result<u64> {
    let (x, y) = (Cx { ice: a.0, owner: a.1, process: Some(a.1) }, Cx { ice: b.0, owner: b.1, process: Some(b.1) });
    let mut count = 0;
    let tid = |ice: &Ice, o: u64| ice.get::<Thread>(o).map(|t| t.tid);
    let of = |side: &Side<'_>| side.2.processes.get(&side.1).cloned().unwrap_or_default();
    for (first, second) in pair(&of(&a), &of(&b), |o| tid(a.0, o), |o| tid(b.0, o)) {
        if !chosen(options.tids, [first.and_then(|o| tid(a.0, o)), second.and_then(|o| tid(b.0, o))]) {
            continue;
        }
        let name = |side: &Side<'_>, o: u64| {
            crate::command::thread_title(&Cx { ice: side.0, owner: o, process: Some(side.1) })
        };
        let mut within = Blocks::default();
        let title = match (first, second) {
            (Some(i), Some(j)) => {
                let (x, y) = (crate::command::thread_of(&x, i), crate::command::thread_of(&y, j));
                count += sections(&x, &y, both, options, &mut within);
                let (x, y) = (name(&a, i), name(&b, j));
                Cell::from(if x == y { x } else { format!("{x} -> {y}") })
            }
            (Some(i), None) => {
                count += 1;
                Cell::from(format!("- {}", name(&a, i))).marked(Mark::Removed)
            }
            (None, Some(j)) => {
                count += 1;
                Cell::from(format!("+ {}", name(&b, j))).marked(Mark::Added)
            }
            (None, None) => continue,
        };
        if !within.is_empty() || title.mark != Mark::None {
            let id = vec![("thread", Value::String(title.text.clone()))];
            out.group(Group::many("threads", id, title, within));
        }
    }
    Ok(count)
}

/// The sections of an owner, by their headings.
fn sections(a: &Cx<'_>, b: &Cx<'_>, both: &[Profile], options: Options<'_>, out: &mut Blocks) -> u64 {
    let (x, y) = (made(a, both), made(b, both));
    let keys: BTreeSet<&String> = x.keys().chain(y.keys()).collect();
    let mut count = 0;
    for key in keys {
        let title = x.get(key).or(y.get(key)).map_or(key.as_str(), |made| made.title);
        let of = |made: Option<&Made>| made.map_or((Value::Null, Value::Null), |m| (m.value.clone(), m.own.clone()));
        let ((before, own), (after, other)) = (of(x.get(key)), of(y.get(key)));
        let mut changes = values::compare(&before, &after);
        if changes.is_empty() {
            changes = values::compare(&own, &other);
        }
        if key == SEGMENTS {
            join_moved(&mut changes, &moved::pairs(a, b));
        }
        if changes.is_empty() {
            if options.unchanged {
                out.group(Group::one(key, Cell::from(format!("= {title}")).marked(Mark::Faint), Blocks::default()));
            }
            continue;
        }
        count += changes.len() as u64;
        let mut within = Blocks::default();
        for change in &changes {
            line(change, &mut within);
        }
        let title = match (&before, &after) {
            (Value::Null, _) => Cell::from(format!("+ {title}")).marked(Mark::Added),
            (_, Value::Null) => Cell::from(format!("- {title}")).marked(Mark::Removed),
            _ => Cell::from(format!("~ {title}")),
        };
        out.group(Group::one(key, title, within));
    }
    count
}

/// Changes under a heading, and how many there are.
fn listed(key: &str, title: &str, changes: &[Change], out: &mut Blocks) -> u64 {
    let mut within = Blocks::default();
    for change in changes {
        line(change, &mut within);
    }
    if !changes.is_empty() {
        out.group(Group::one(key, format!("~ {title}"), within));
    }
    changes.len() as u64
}

/// The key of the segments of a process.
const SEGMENTS: &str = "segments";

/// What is gone from one place and new at another is one change.
fn join_moved(changes: &mut Vec<Change>, pairs: &[(Vma, Vma)]) {
    for (from, to) in pairs {
        let [x, y] = [from, to].map(range);
        let at = |kind: Kind, range: &str, all: &[Change]| {
            all.iter().position(|c| c.kind == kind && c.path == format!("[range={range}]"))
        };
        let (Some(gone), Some(new)) = (at(Kind::Removed, &x, changes), at(Kind::Added, &y, changes)) else { continue };
        let what = changes[new].after.get("what").and_then(Value::as_str).unwrap_or_default();
        let what = if what.is_empty() { "anonymous memory" } else { what }.to_owned();
        changes[gone] =
            Change { kind: Kind::Moved, path: what, before: Value::String(x.clone()), after: Value::String(y.clone()) };
        changes.remove(new);
    }
}

/// What says where and when an image was made, and nothing of the program.
const OF_THE_FREEZE: [&str; 3] = ["origin", "made_together_with", "clocks"];

/// A section, for comparison.
struct Made {
    title: &'static str,
    /// What its printer makes of it.
    value: Value,
    /// Its own fields.
    own: Value,
}

fn made(cx: &Cx<'_>, both: &[Profile]) -> BTreeMap<String, Made> {
    let mut all = BTreeMap::new();
    for entry in cx.ice.of(cx.owner) {
        let Ok(section) = &entry.section else { continue };
        let Some((title, _)) = print::place(section) else { continue };
        let info = AnySection::info(section);
        if info.is_none_or(|i| !both.contains(&i.profile) || i.scope == Scope::Memory) {
            continue;
        }
        let key = print::key(section);
        if OF_THE_FREEZE.contains(&key.as_str()) {
            continue;
        }
        let mut value = fields::printed(section, cx);
        if key == SEGMENTS {
            counted_elsewhere(&mut value);
        }
        all.insert(key, Made { title, value, own: fields::of(section) });
    }
    all
}

/// How many pages of a segment are stored follows from what is in them, and that is compared.
fn counted_elsewhere(segments: &mut Value) {
    for row in segments.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        for name in ["stored", "as_file", "zero"] {
            row.remove(name);
        }
    }
}

fn line(change: &Change, out: &mut Blocks) {
    let (sign, mark, name) = match change.kind {
        Kind::Added => ("+", Mark::Added, "added"),
        Kind::Removed => ("-", Mark::Removed, "removed"),
        Kind::Changed => ("~", Mark::None, "changed"),
        Kind::Moved => ("~", Mark::None, "moved"),
    };
    out.list("changes");
    out.value("change", Cell::new(sign, name).marked(mark));
    write!(out, " ");
    out.value("what", change.path.as_str());
    let text = |v: &Value| match v {
        Value::String(s) => s.clone(),
        other => other.to_string(),
    };
    let one = |v: &Value| crate::text::cut(text(v), 300);
    match change.kind {
        Kind::Added => {
            write!(out, "  ");
            out.value("after", Cell::new(one(&change.after), change.after.clone()).marked(mark));
        }
        Kind::Removed => {
            write!(out, "  ");
            out.value("before", Cell::new(one(&change.before), change.before.clone()).marked(mark));
        }
        Kind::Moved => {
            write!(out, "  moved from ");
            out.value("before", Cell::new(one(&change.before), change.before.clone()));
            write!(out, " to ");
            out.value("after", Cell::new(one(&change.after), change.after.clone()));
        }
        Kind::Changed => {
            write!(out, "  ");
            out.value("before", Cell::new(one(&change.before), change.before.clone()));
            write!(out, " -> ");
            out.value("after", Cell::new(one(&change.after), change.after.clone()));
            if let Some(words) = values::words(&text(&change.before), &text(&change.after)) {
                write!(out, "  ({words})");
            }
        }
    }
    writeln!(out);
}
