//! The whole image as one tree: a summary, then every process with its threads, then what belongs to all of them. Nothing is left out: what nobody
//! refers to, and what this program does not know, comes at the end.

use std::collections::HashSet;
use std::io::{self, Write};

use cryo_format::section::Section;
use cryo_format::section::extents::Extents;
use cryo_format::section::objects::Objects;
use cryo_format::section::process::Process;
use cryo_format::section::thread::Thread;
use cryo_format::section::vmas::Vmas;
use cryo_format::{Kind, Profile};

use crate::arch::{Arch, Registers};
use crate::block::{Blocks, Cell, Group, Mark, Table};
use crate::draw::text;
use crate::ice::{Entry, Ice, Part};
use crate::page_count::PageCount;
use crate::people::People;
use crate::print::descriptors::is_description;
use crate::print::syscall::Call;
use crate::print::{self, Cx, Order};
use crate::text::{command_line, count, harmless, shown, size};

/// Draws all of it, as on a terminal without an end.
pub fn dump(ice: &Ice, out: &mut dyn Write) -> io::Result<()> {
    text::draw(&blocks(ice).into_vec(), None, out)
}

/// All of it.
pub fn blocks(ice: &Ice) -> Blocks {
    chosen(ice, &People::of(ice))
}

/// What is of the whole image, and what is of these people.
pub fn chosen(ice: &Ice, people: &People) -> Blocks {
    let mut out = Blocks::default();
    let mut about = summary(ice);
    let image = Cx { ice, owner: 0, process: None };
    sections(&image, &mut about, |order| order < Order::Late);
    out.group(Group::one("image", who(ice), about));
    for (id, threads) in &people.processes {
        process(&Cx { ice, owner: *id, process: Some(*id) }, threads, &mut out);
    }
    for id in &people.strangers {
        thread(&Cx { ice, owner: *id, process: None }, &mut out);
    }
    let mut late = Blocks::default();
    sections(&image, &mut late, |order| order >= Order::Late);
    if !late.is_empty() {
        out.caption("");
        out.group(Group::one("shared", "of the whole image", late));
    }
    others(ice, &mut out);
    out
}

/// The sections of these kinds: what is of the whole image, of these people, and of what they share.
pub fn of_kinds(ice: &Ice, people: &People, kinds: &[Kind]) -> Blocks {
    let (chosen, all) = (people.owners(), People::of(ice).owners());
    let mut out = Blocks::default();
    for owner in ice.owners().into_iter().filter(|owner| chosen.contains_key(owner) || !all.contains_key(owner)) {
        let cx = Cx { ice, owner, process: chosen.get(&owner).copied().flatten() };
        let mut within = Blocks::default();
        for entry in ice.of(owner).filter(|entry| kinds.contains(&entry.kind)) {
            within.group(section(entry, &cx));
        }
        if !within.is_empty() {
            let who = match (ice.get::<Process>(owner), ice.get::<Thread>(owner)) {
                (Some(p), _) => format!("process {} (local id {owner})", p.pid),
                (_, Some(t)) => format!("thread {} (local id {owner})", t.tid),
                _ if owner == 0 => "the image".to_owned(),
                _ => format!("local id {owner}"),
            };
            out.group(Group::many("owners", vec![("local_id", owner.into())], who, within));
        }
    }
    out
}

/// Whose image it is.
pub fn who(ice: &Ice) -> String {
    let mut all = ice.all::<Process>().map(|(_, p)| format!("{} (pid {})", command_line(&p.cmdline, 60), p.pid));
    match (all.next(), all.count()) {
        (None, _) => "A frozen process".to_owned(),
        (Some(who), 0) => who,
        (Some(who), more) => format!("{who} and {}", count(more as u64, "other", "others")),
    }
}

/// The files, and how much of what is in them.
pub fn summary(ice: &Ice) -> Blocks {
    let mut out = Blocks::default();
    let Some(first) = ice.parts.first() else { return out };
    let mut table = Table::new(&["file", ">size", "set", "format", "machine", ">page"]);
    ice.parts.iter().for_each(|part| table.row(file(part)));
    out.group(Group::one("files", "", [table].into()));
    for profile in Profile::ALL {
        let single = ice.parts.len() == 1 && first.header.profile != Profile::Freeze;
        if ice.part(profile).is_none() && !single {
            out.warn(format!("no .{profile}: what it holds is not shown"));
        }
    }
    memory(ice, &mut out);
    out
}

fn file(part: &Part) -> [Cell; 6] {
    let h = &part.header;
    let machine = Arch::of_elf(h.machine).name();
    let version = format!("{}.{}", h.major, h.minor);
    let name = harmless(&part.name);
    [
        name.into(),
        Cell::size(part.size),
        h.set.to_string().into(),
        version.into(),
        machine.into(),
        Cell::size(h.page_size()),
    ]
}

/// All pages of the image.
fn memory(ice: &Ice, out: &mut Blocks) {
    let owners: HashSet<u64> = ice.all::<Extents>().map(|(owner, _)| owner).collect();
    if owners.is_empty() {
        return;
    }
    let all = owners.iter().fold(PageCount::default(), |sum, owner| sum.plus(ice.pages(*owner)));
    let bytes = |n: u64| size(n.saturating_mul(ice.page_size()));
    write!(out, "pages: ");
    out.value("pages_stored", Cell::number(all.stored));
    write!(out, " stored ({}), ", bytes(all.stored));
    out.value("pages_as_file", Cell::number(all.file));
    write!(out, " stored that files have too ({}), ", bytes(all.file));
    out.value("pages_zero", Cell::number(all.zero));
    writeln!(out, " zero ({})", bytes(all.zero));
}

fn process(cx: &Cx<'_>, threads: &[u64], out: &mut Blocks) {
    let known = cx.ice.get::<Process>(cx.owner);
    let who = known.map_or_else(|| "process".to_owned(), |p| format!("process {}", p.pid));
    let mut about = vec![format!("local id {}", cx.owner)];
    if !threads.is_empty() {
        about.push(count(threads.len() as u64, "thread", "threads"));
    }
    let mut id = vec![("local_id", cx.owner.into())];
    id.extend(known.map(|p| ("pid", p.pid.into())));
    let mut within = Blocks::default();
    sections(cx, &mut within, |_| true);
    out.caption("");
    out.group(Group::many("processes", id, format!("{who} ({})", about.join(", ")), within));
    for id in threads {
        thread(&Cx { ice: cx.ice, owner: *id, process: cx.process }, out);
    }
}

fn thread(cx: &Cx<'_>, out: &mut Blocks) {
    let known = cx.ice.get::<Thread>(cx.owner);
    let mut who = match known {
        Some(t) => format!("thread {} \"{}\" (local id {})", t.tid, shown(&t.comm), cx.owner),
        None => format!("thread (local id {})", cx.owner),
    };
    let pc = Registers::of(cx.ice, cx.owner).map(|r| r.pc());
    if let Some(call) = Call::of(cx, cx.owner) {
        who += &format!(" in {}", call.name().unwrap_or("an unknown system call"));
    } else if let Some(place) = pc.and_then(|pc| cx.at(pc)) {
        who += &format!(" at {place}");
    }
    let mut id = vec![("local_id", cx.owner.into())];
    id.extend(known.map(|t| ("tid", t.tid.into())));
    let mut within = Blocks::default();
    sections(cx, &mut within, |_| true);
    out.caption("");
    out.group(Group::many("threads", id, who, within));
}

/// The sections of an owner, in their order.
fn sections(cx: &Cx<'_>, out: &mut Blocks, wanted: impl Fn(Order) -> bool) {
    let mut found: Vec<(Order, usize, &Entry)> = Vec::new();
    for entry in cx.ice.of(cx.owner) {
        // Unknown and broken ones come at the end of everything.
        let Ok(section) = &entry.section else { continue };
        let Some((_, order)) = print::place(section) else { continue };
        if wanted(order) && !shown_elsewhere(entry, cx.ice) {
            found.push((order, file_rank(entry.kind), entry));
        }
    }
    found.sort_by_key(|(order, rank, _)| (*order, *rank));
    for (_, _, entry) in found {
        out.group(section(entry, cx));
    }
}

/// What the kernel keeps, then the template, then registers; within a file as in the table.
fn file_rank(kind: Kind) -> usize {
    let table = cryo_format::section::SECTIONS;
    let Some(at) = table.iter().position(|info| info.kind == kind) else { return usize::MAX };
    let file = match table[at].profile {
        Profile::Frost => 0,
        Profile::Frore => 1,
        Profile::Freeze => 2,
    };
    file * table.len() + at
}

/// Pages are within the segment map and the table of objects, where these are there.
fn shown_elsewhere(entry: &Entry, ice: &Ice) -> bool {
    entry.kind == Extents::KIND
        && (ice.get::<Vmas>(entry.owner).is_some()
            || ice.get::<Objects>(0).is_some_and(|o| o.objects.binary_search_by_key(&entry.owner, |o| o.id).is_ok()))
}

/// A section under its heading.
pub fn section(entry: &Entry, cx: &Cx<'_>) -> Group {
    let mut within = Blocks::default();
    match &entry.section {
        Ok(section) => {
            let title = print::place(section).map_or("unknown section", |(title, _)| title);
            let version =
                entry.older().map_or(String::new(), |version| format!(" (version {version} of {})", entry.kind));
            print::print(section, &mut within, cx);
            Group::one(&print::key(section), format!("{title}{version}"), within)
        }
        Err(problem) => Group::one("broken", Cell::from(harmless(problem)).marked(Mark::Warn), within),
    }
}

/// What nobody refers to, and what cannot be understood.
fn others(ice: &Ice, out: &mut Blocks) {
    let people = People::of(ice);
    let mut known: HashSet<u64> = [0].into();
    known.extend(people.processes.keys().chain(people.processes.values().flatten()).chain(&people.strangers));
    let sections = ice.parts.iter().flat_map(|p| &p.entries).flat_map(|e| &e.section);
    let described: HashSet<u64> = sections.flat_map(print::shows).collect();
    let mut also = Blocks::default();
    for owner in ice.owners() {
        let cx = Cx { ice, owner, process: None };
        let mut pages = Blocks::default();
        for entry in ice.of(owner) {
            let understood = entry.section.as_ref().is_ok_and(|s| print::place(s).is_some());
            let shown = known.contains(&owner) || (described.contains(&owner) && is_description(entry));
            if (understood && shown) || shown_elsewhere(entry, ice) {
                continue;
            }
            if entry.kind == Extents::KIND && understood {
                // There may be thousands: one heading for all of an owner.
                entry.section.iter().for_each(|s| print::print(s, &mut pages, &cx));
                continue;
            }
            let about =
                format!("{} version {} of owner {owner}, at offset {:#x}", entry.kind, entry.version, entry.offset);
            also.caption(Cell::from(about).marked(Mark::Faint));
            let mut group = section(entry, &cx);
            group.many = true;
            group.id = vec![("owner", owner.into()), ("kind", entry.kind.to_string().into())];
            also.group(group);
        }
        if !pages.is_empty() {
            also.group(Group::many("pages", vec![("owner", owner.into())], format!("pages of owner {owner}"), pages));
        }
    }
    if !also.is_empty() {
        out.caption("");
        out.group(Group::one("also", "also in the image", also));
    }
}
