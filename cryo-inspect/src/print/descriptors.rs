//! The table of file descriptors, each with what it refers to.

use std::collections::HashMap;

use cryo_format::section::Scope;
use cryo_format::section::descriptors::{Descriptor, Descriptors, ThreadDescriptors};
use cryo_format::section::process::Process;
use serde_json::{Map, Value};

use super::{Cx, Print, thread};
use crate::block::{Block, Blocks, Cell, Fields, Table};
use crate::draw::json;
use crate::ice::Entry;
use crate::names::bits;

impl Print for Descriptors {
    const TITLE: &'static str = "descriptors";

    fn shows(&self) -> Vec<u64> {
        self.descriptors.iter().map(|d| d.description).collect()
    }

    fn print(&self, out: &mut Blocks, cx: &Cx<'_>) {
        table(&self.descriptors, out, cx);
    }
}

impl Print for ThreadDescriptors {
    const TITLE: &'static str = "own descriptors";

    fn shows(&self) -> Vec<u64> {
        self.descriptors.iter().map(|d| d.description).collect()
    }

    fn print(&self, out: &mut Blocks, cx: &Cx<'_>) {
        if self.shared_with == 0 {
            return table(&self.descriptors, out, cx);
        }
        let mut fields = Fields::default();
        fields.add("in common with", thread(self.shared_with, cx));
        out.fields(fields);
    }
}

fn table(descriptors: &[Descriptor], out: &mut Blocks, cx: &Cx<'_>) {
    if descriptors.is_empty() {
        out.caption("none");
        return;
    }
    let mut table = Table::new(&[">fd", "flags", "what"]);
    let mut first: HashMap<u64, u32> = HashMap::new();
    for d in descriptors {
        let elsewhere = cx.ice.first_holder(d.description).filter(|(process, _)| *process != cx.owner);
        let what = match (first.get(&d.description), elsewhere) {
            (Some(fd), _) => Cell::new(format!("shared with {fd}"), serde_json::json!({ "shared_with": fd })),
            // What several processes have is described once.
            (None, Some((process, fd))) => {
                let pid = cx.ice.get::<Process>(process).map_or(process, |p| p.pid);
                let value = serde_json::json!({ "shared_with": fd, "pid": pid });
                Cell::new(format!("shared with {fd} of process {pid}"), value)
            }
            (None, None) => description(d.description, cx),
        };
        first.entry(d.description).or_insert(d.fd);
        table.row([Cell::number(d.fd.into()), bits(d.flags.into(), &[(1, "cloexec")], " ").into(), what]);
    }
    out.table(table);
}

/// Does it say what an open file description is?
pub fn is_description(entry: &Entry) -> bool {
    cryo_format::section::info(entry.kind).is_some_and(|info| info.scope == Scope::Description)
}

/// What is known of an open file description: lines for people, and for programs an object of its sections.
pub fn description(id: u64, cx: &Cx<'_>) -> Cell {
    let mut lines = Vec::new();
    let mut members = Map::new();
    // Only sections that are a description's: a file may lie about whose its sections are, even that this table is one of its own entries.
    for entry in cx.ice.of(id).filter(|e| is_description(e)) {
        match &entry.section {
            Ok(section) => {
                let title = super::place(section).map_or("unknown", |(title, _)| title);
                let version = entry.older().map_or(String::new(), |version| format!("(version {version}) "));
                let mut within = Blocks::default();
                super::print(section, &mut within, &Cx { ice: cx.ice, owner: id, process: cx.process });
                let within = within.into_vec();
                let says =
                    within.iter().filter_map(|b| if let Block::Line(line) = b { Some(line.text()) } else { None });
                let says: Vec<String> = says.collect();
                lines.push(format!("{title:9} {version}{}", says.join("\n")));
                members.insert(super::key(section), json::value(&within));
            }
            Err(problem) => {
                let problem = crate::text::harmless(problem);
                lines.push(format!("broken    {problem}"));
                members.insert("broken".to_owned(), problem.as_str().into());
            }
        }
    }
    if lines.is_empty() {
        return Cell::new(format!("description {id} (not in the image)"), Value::Null);
    }
    // What goes on stands below what it is, not below its title.
    Cell::new(lines.join("\n").trim_end().replace('\n', "\n  "), members)
}
