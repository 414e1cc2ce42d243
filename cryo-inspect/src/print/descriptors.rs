//! The table of file descriptors, each with what it refers to.

use std::collections::HashMap;
use std::io::{self, Write};

use cryo_format::section::Scope;
use cryo_format::section::descriptors::Descriptors;

use super::{Cx, Print};
use crate::ice::Entry;
use crate::names::bits;
use crate::table::Table;

impl Print for Descriptors {
    const TITLE: &'static str = "descriptors";

    fn shows(&self) -> Vec<u64> {
        self.descriptors.iter().map(|d| d.description).collect()
    }

    fn print(&self, out: &mut dyn Write, cx: &Cx<'_>) -> io::Result<()> {
        if self.descriptors.is_empty() {
            return writeln!(out, "none");
        }
        let mut table = Table::new(&[">fd", "flags", "what"]);
        let mut first: HashMap<u64, u32> = HashMap::new();
        for d in &self.descriptors {
            let what = match first.get(&d.description) {
                Some(fd) => format!("shared with {fd}"),
                None => description(d.description, cx)?,
            };
            first.entry(d.description).or_insert(d.fd);
            table.row([d.fd.to_string(), bits(d.flags.into(), &[(1, "cloexec")], " "), what]);
        }
        table.print(out)
    }
}

/// Does it say what an open file description is?
pub fn is_description(entry: &Entry) -> bool {
    cryo_format::section::info(entry.kind).is_some_and(|info| info.scope == Scope::Description)
}

/// What is known of an open file description, without the line break at the end.
pub fn description(id: u64, cx: &Cx<'_>) -> io::Result<String> {
    let mut text = Vec::new();
    // Only sections that are a description's: a file may lie about whose its sections are, even that this table is one of its own entries.
    for entry in cx.ice.of(id).filter(|e| is_description(e)) {
        match &entry.section {
            Ok(section) => {
                let title = super::place(section).map_or("unknown", |(title, _)| title);
                write!(text, "{title:9} ")?;
                if let Some(version) = entry.older() {
                    write!(text, "(version {version}) ")?;
                }
                super::print(section, &mut text, &Cx { ice: cx.ice, owner: id, process: cx.process })?;
            }
            Err(problem) => writeln!(text, "broken    {problem}")?,
        }
    }
    if text.is_empty() {
        return Ok(format!("description {id} (not in the image)"));
    }
    // What goes on stands below what it is, not below its title.
    Ok(String::from_utf8_lossy(&text).trim_end().replace('\n', "\n  "))
}
